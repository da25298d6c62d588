// If-Match: who changes a record says which one was read. Decides; reads and writes nothing.

import { BilletError } from '#shared/errors.ts';

/** CONFLICT when `ifMatch` is given and the record is at another revision. */
export function assertRevision(what: string, revision: number, ifMatch: number | null): void {
  if (ifMatch === null || ifMatch === revision) return;
  throw new BilletError('CONFLICT', `${what} is at revision ${revision}, not at ${ifMatch}`, {
    hint: 'somebody else changed it: read it again, and decide again',
    details: { revision },
  });
}
