// Restores a backup into a state directory that no coordinator has open: everything is written beside
// the state and checked there; then it counts, at once. The process may end at any point.

import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { chown, mkdir, open, readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { writeAll } from '#shared/artifact/oci/durable-file.ts';
import type { Clock } from '#shared/clock.ts';
import { digestOfHex } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { isoTime } from '../ids.ts';
import { inspectSnapshot, lockSqliteFile, renewHistory } from '../store/sqlite-snapshot.ts';
import { type Aftermath, afterRestore } from './after-restore.ts';
import { type BackupHeader, damaged, readPayload } from './format.ts';
import { openBackup } from './seal.ts';
import { openStaging, type Staging, settleRestore } from './settle.ts';
import { isKept, isReplaced, RESTORING, STORE_FILE } from './state-files.ts';

export interface RestoreOptions {
  readonly stateDir: string;
  /** Of the backup file. */
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly passphrase: string | null;
  /** Although there is something: what the backup brings takes its place, and it is moved away. */
  readonly force: boolean;
  readonly clock: Clock;
  /** What the tests end the process at: called before each step with its name. */
  readonly onStep?: (step: string) => void;
}

export interface Restored extends Aftermath {
  readonly header: BackupHeader;
  /** The new history id. */
  readonly history: string;
  /** Where the state is that was there before; null when there was none. */
  readonly replaced: string | null;
}

/** Not state: what file systems put at their root. */
const IGNORED = new Set(['lost+found', RESTORING]);

/**
 * STATE_PRESENT without `force`; STORE_LOCKED; BACKUP_INVALID, PASSPHRASE_WRONG, STORE_NEWER,
 * STORE_CORRUPT. When it throws, the state is what it was before.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { stateDir, force, onStep = () => {} } = options;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const isEarlier = (await settleEarlier(stateDir)) === 'finished';
  const present = (await readdir(stateDir)).filter((name) => !IGNORED.has(name));
  const state = present.filter((name) => !name.startsWith('replaced-'));
  if (state.length > 0 && (isEarlier || !force)) throw statePresent(stateDir, isEarlier);
  using locked = new DisposableStack();
  if (state.includes(STORE_FILE)) locked.defer(lockSqliteFile(join(stateDir, STORE_FILE)));
  onStep('staging');
  const staging = await openStaging(stateDir, onStep);
  try {
    const header = await writeStaged(options, staging);
    onStep('checking');
    await checkStaged(staging.files, header);
    onStep('renewing');
    const store = join(staging.files, STORE_FILE);
    const history = renewHistory(store);
    const aftermath = await afterRestore(store, header, options.clock);
    await handOver(staging.files, stateDir);
    const at = isoTime(options.clock.now()).replaceAll(/[:.]/g, '');
    const out = state.filter((name) => isReplaced(name, header.registry.included));
    const replaced = out.length === 0 ? null : `replaced-${at}`;
    const names = await readdir(staging.files);
    onStep('finishing');
    await staging.finish({ replaced, out, in: names });
    return { header, history, replaced: replaced && join(stateDir, replaced), ...aftermath };
  } catch (error) {
    await staging.discard();
    throw error;
  }
}

/** What an earlier restore left half done is begun anew; one that counts is finished. */
async function settleEarlier(stateDir: string) {
  try {
    return await settleRestore(stateDir);
  } catch (error) {
    if (error instanceof BilletError && error.code === 'RESTORE_UNFINISHED') return 'discarded';
    throw error;
  }
}

async function writeStaged(options: RestoreOptions, { files }: Staging): Promise<BackupHeader> {
  let found: BackupHeader | null = null;
  const seen = new Set<string>();
  await readPayload(openBackup(options.bytes, options.passphrase), {
    async header(header) {
      found = header;
    },
    async file(path, bytes) {
      if (!isPlain(path) || !isKept(path)) throw damaged(`it holds a file ${JSON.stringify(path)}`);
      if (seen.has(path)) throw damaged(`it holds ${path} twice`);
      seen.add(path);
      options.onStep?.(`file ${path}`);
      const target = join(files, path);
      await mkdir(dirname(target), { recursive: true, mode: 0o700 });
      const file = await open(target, 'wx', 0o600);
      try {
        for await (const chunk of bytes) await writeAll(file, chunk);
        await file.sync();
      } finally {
        await file.close();
      }
    },
  });
  for (const path of [STORE_FILE, 'ca/ca.key', 'ca/ca.crt'])
    if (!seen.has(path)) throw damaged(`it lacks ${path}`);
  if (found === null) throw damaged('it has no header');
  return found;
}

/** Relative, normal, and of names that no shell or terminal minds. */
const isPlain = (path: string): boolean =>
  path.split('/').every((name) => /^[A-Za-z0-9._+-]{1,255}$/.test(name) && !/^\.+$/.test(name));

/** That the parts are whole, and belong together. */
async function checkStaged(files: string, header: BackupHeader): Promise<void> {
  const { historyId, revision } = inspectSnapshot(join(files, STORE_FILE));
  if (historyId !== header.history || revision !== header.revision)
    throw damaged(`its store is revision ${revision} of history ${historyId}`);
  const certificate = new X509Certificate(await readFile(join(files, 'ca/ca.crt')));
  const key = createPrivateKey(await readFile(join(files, 'ca/ca.key')));
  const hex = createHash('sha256').update(certificate.raw).digest('hex');
  if (digestOfHex(hex) !== header.ca || !certificate.checkPrivateKey(key))
    throw damaged('its CA is another one than it says');
}

/** Everything belongs to whom the state directory belongs to; every directory is on disk. */
async function handOver(root: string, stateDir: string): Promise<void> {
  const { uid, gid } = await stat(stateDir);
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (process.getuid?.() === 0) await chown(path, uid, gid);
    if (entry.isDirectory()) await syncDirectory(path);
  }
}

const statePresent = (stateDir: string, isEarlier: boolean) =>
  isEarlier
    ? new BilletError('STATE_PRESENT', `the restore before into ${stateDir} is finished now`, {
        hint: 'start the coordinator; or give --force to replace what was restored',
      })
    : new BilletError('STATE_PRESENT', `${stateDir} is not empty`, {
        hint: `name an empty directory, or give --force: what is there is then moved to ${stateDir}/replaced-TIME`,
      });
