// Compare-and-set over several records: read, decide, commit, and again when another writer came
// first. Decides nothing itself.

import { BilletError } from '#shared/errors.ts';
import type { Condition, Store, Write } from './store.ts';

const ATTEMPTS = 16;

/** What one attempt wants written, and what to return once it is, given the revision. */
export interface Draft<R> {
  readonly changes: readonly { readonly condition: Condition; readonly write: Write }[];
  /** Further conditions: records that were read and must not have changed, or a leader's term. */
  readonly conditions?: readonly Condition[];
  readonly result: (revision: number) => R;
}

/**
 * Runs `draft` until its changes are committed whole; null when it declines. `draft` reads what it
 * needs afresh each time and has no effects of its own. CONTENDED after 16 attempts, naming `what`.
 */
export async function transact<R>(
  store: Store,
  what: string,
  draft: () => Promise<Draft<R> | null>,
): Promise<R | null> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const wanted = await draft();
    if (wanted === null) return null;
    const conditions = wanted.changes.map((change) => change.condition);
    const writes = wanted.changes.map((change) => change.write);
    const done = await store.commit([...conditions, ...(wanted.conditions ?? [])], writes);
    if (done) return wanted.result(done.revision);
  }
  throw new BilletError('CONTENDED', `${what} changed ${ATTEMPTS} times under one writer`, {
    hint: 'retry later; if it stays so, another writer is in a loop',
  });
}
