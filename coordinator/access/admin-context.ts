// The first admin credential: made when the store has none, and written for root's CLI on the same
// machine. Its secret is in that file and nowhere else; it is never logged.

import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { CredentialName } from '#shared/schema/ids.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { COORDINATOR } from '../events/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, commitAll } from '../store/collection.ts';
import { newCredential } from './credentials.ts';

/** As the CLI reads it: base URL, PEM of the CA, secret. */
interface Context {
  readonly url: string;
  readonly ca: string;
  readonly credential: string;
}

const ADMIN = CredentialName.parse('admin');

/**
 * Writes `file` (mode 0600) at the first start; at later ones only keeps its URL true. The file comes
 * before the record: a crash between the two leaves a secret that opens nothing, and the next start
 * makes another. A file that was taken away stays away.
 */
export async function ensureAdminContext(
  records: Records,
  file: string,
  at: { readonly url: string; readonly ca: string },
): Promise<void> {
  const { items } = await records.credentials.list({ limit: 1 });
  if (items.length > 0) return await refresh(file, at);
  const { record, secret } = newCredential({
    name: ADMIN,
    role: 'admin',
    createdAt: records.clock.now(),
    createdBy: COORDINATOR,
  });
  await writeContext(file, { ...at, credential: secret });
  await commitAll(records.store, [
    records.credentials.put(ADMIN, record, ABSENT),
    records.events.tell({
      actor: COORDINATOR,
      kind: 'credential.created',
      subject: `credential/${ADMIN}`,
      text: 'the first admin credential was made',
    }),
  ]);
}

async function refresh(file: string, at: { readonly url: string; readonly ca: string }) {
  const context = await readContext(file);
  if (context && (context.url !== at.url || context.ca !== at.ca))
    await writeContext(file, { ...at, credential: context.credential });
}

async function readContext(file: string): Promise<Context | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Context;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    // The parser's message would quote the secret.
    throw new BilletError('CONFIG_INVALID', `cannot read ${file}`, {
      hint: `delete ${file}, and make a credential with another admin's`,
    });
  }
}

async function writeContext(file: string, context: Context): Promise<void> {
  const temporary = `${file}.new`;
  await writeFile(temporary, `${JSON.stringify(context, null, 2)}\n`, { mode: 0o600, flush: true });
  await chmod(temporary, 0o600);
  await rename(temporary, file);
  // The record follows: a power cut in between may not take the only copy of the secret.
  await syncDirectory(dirname(file));
}
