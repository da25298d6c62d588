// Operator side of backups: the running coordinator's state as a file, and instances that are ahead of
// one that was restored.

import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbsent } from '#shared/artifact/oci/durable-file.ts';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { COORDINATOR } from '../events/records.ts';
import { instanceView } from '../nodes/views.ts';
import type { Handlers } from '../router.ts';
import { actorOf } from '../routes/handler.ts';
import { commitAll } from '../store/collection.ts';
import { acceptInstance } from './held.ts';
import { removeScratch, takeBackup } from './take.ts';

/** Where the state is, and the proof that who asks for it could read it anyway. */
export interface BackupSource {
  readonly stateDir: string;
  isLocal(secret: string): boolean;
}

const LOCAL_SECRET = 'local.secret';

/**
 * Writes `local.secret` (mode 0600) at the first start, and removes what backups left that were cut
 * short. The store has to be open, and locked.
 */
export async function openBackupSource(stateDir: string): Promise<BackupSource> {
  await removeScratch(stateDir);
  const path = join(stateDir, LOCAL_SECRET);
  // One that is there is kept: a coordinator starts on a full disk, too.
  const secret = (await knownSecret(path)) ?? (await newSecret(path));
  const digest = Buffer.from(sha256(secret));
  return {
    stateDir,
    isLocal: (given) => timingSafeEqual(Buffer.from(sha256(given)), digest),
  };
}

/** Null without one, and for what was not written whole. */
async function knownSecret(path: string): Promise<string | null> {
  try {
    const text = await readFile(path, 'utf8');
    return /^[\w-]{43}$/.test(text) ? text : null;
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

async function newSecret(path: string): Promise<string> {
  const secret = randomBytes(32).toString('base64url');
  await writeFile(`${path}.new`, secret, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return secret;
}

type BackupHandlers = Pick<Handlers, 'takeBackup' | 'acceptInstance'>;

export const backupHandlers: BackupHandlers = {
  async takeBackup({ caller, body }, { backup, records, authority, clock }) {
    const { local, ...wanted } = body;
    if (!backup.isLocal(local))
      throw new BilletError('FORBIDDEN', 'a backup holds the key of the CA: it is taken locally', {
        hint: `run billet coordinator backup as root on the coordinator's machine`,
      });
    await commitAll(records.store, [
      records.events.tell({
        actor: actorOf(caller),
        kind: 'coordinator.backup',
        subject: COORDINATOR,
        text: `a backup was taken${wanted.passphrase === null ? ', not encrypted' : ''}`,
      }),
    ]);
    const { stateDir } = backup;
    const ca = () => authority.fingerprint;
    return { bytes: takeBackup({ stateDir, store: records.store, ca, clock, ...wanted }) };
  },

  async acceptInstance({ caller, params }, { records, live }) {
    const record = await acceptInstance(records, actorOf(caller), params.id);
    return { body: instanceView(record, await live.presence(record.id)) };
  },
};
