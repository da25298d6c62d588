// The directory in which a restore is made ready, and the moment from which it counts. Finishes or
// refuses what was cut short; writes no content of its own.
//
//   <state>/restoring/lock       held by the process at work
//   <state>/restoring/files/…    what is to be there, while it is written and checked
//   <state>/restoring/complete   from then on it counts: names to move away, names to move in
//   <state>/replaced-<time>/     what was there before
//
// Before `complete` the state is the old one. After it, the moves are done again until all are done.

import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { lockSqliteFile } from '../store/sqlite-snapshot.ts';
import { RESTORING, STORE_FILE } from './state-files.ts';

const Name = z.string().regex(/^[A-Za-z0-9._-]{1,255}$/);
const Complete = z.strictObject({
  /** Where what was there goes; null when there was nothing. */
  replaced: Name.nullable(),
  out: z.array(z.string()),
  in: z.array(Name),
});
export type Complete = z.infer<typeof Complete>;

const pathsOf = (stateDir: string) => {
  const root = join(stateDir, RESTORING);
  return {
    root,
    lock: join(root, 'lock'),
    files: join(root, 'files'),
    complete: join(root, 'complete'),
  };
};

export interface Staging {
  /** Empty, mode 0700. */
  readonly files: string;
  /** Makes it count, and moves everything to its place. */
  finish(complete: Complete): Promise<void>;
  /** Nothing was restored. */
  discard(): Promise<void>;
}

/** Only this process restores into `stateDir` until it is finished or discarded. STORE_LOCKED. */
export async function openStaging(
  stateDir: string,
  onStep: (step: string) => void = () => {},
): Promise<Staging> {
  const { root, lock, files, complete } = pathsOf(stateDir);
  await mkdir(root, { recursive: true, mode: 0o700 });
  const release = lockSqliteFile(lock);
  await rm(files, { recursive: true, force: true });
  await mkdir(files, { mode: 0o700 });
  await syncDirectory(stateDir);
  const end = async () => {
    await rm(root, { recursive: true, force: true });
    release();
  };
  return {
    files,
    async finish(wanted) {
      await syncDirectory(files);
      onStep('complete');
      const text = JSON.stringify(Complete.parse(wanted));
      await writeFile(`${complete}.new`, text, { mode: 0o600, flush: true });
      await rename(`${complete}.new`, complete);
      await syncDirectory(root);
      await move(stateDir, wanted, onStep);
      onStep('end');
      await end();
    },
    discard: end,
  };
}

export type Settled = 'nothing' | 'finished' | 'discarded';

/**
 * Before anything is opened in `stateDir`: finishes a restore that counts, and removes what is left of
 * one that was to replace a state. RESTORE_UNFINISHED when there is no state to go on with;
 * STORE_LOCKED while one is at work.
 */
export async function settleRestore(stateDir: string): Promise<Settled> {
  const { root, lock, complete } = pathsOf(stateDir);
  if (!existsSync(root)) return 'nothing';
  const release = lockSqliteFile(lock);
  try {
    if (existsSync(complete)) {
      await move(stateDir, Complete.parse(JSON.parse(await readFile(complete, 'utf8'))));
      await rm(root, { recursive: true, force: true });
      return 'finished';
    }
    if (!existsSync(join(stateDir, STORE_FILE)))
      throw new BilletError('RESTORE_UNFINISHED', `a restore into ${stateDir} was cut short`, {
        hint: `run it again, or remove ${root} to begin with an empty state and a new CA`,
      });
    await rm(root, { recursive: true, force: true });
    return 'discarded';
  } finally {
    release();
  }
}

/** Done again from its beginning it ends the same: what stands at its new place is not moved again. */
async function move(
  stateDir: string,
  wanted: Complete,
  onStep: (step: string) => void = () => {},
): Promise<void> {
  const { files } = pathsOf(stateDir);
  if (wanted.replaced !== null) {
    const away = join(stateDir, wanted.replaced);
    await mkdir(away, { recursive: true, mode: 0o700 });
    for (const name of wanted.out) {
      onStep(`out ${name}`);
      if (!existsSync(join(away, name)))
        await renameIfThere(join(stateDir, name), join(away, name));
    }
    await syncDirectory(away);
    await syncDirectory(stateDir);
  }
  for (const name of wanted.in) {
    onStep(`in ${name}`);
    await renameIfThere(join(files, name), join(stateDir, name));
  }
  await syncDirectory(stateDir);
}

async function renameIfThere(from: string, to: string): Promise<void> {
  if (existsSync(from)) await rename(from, to);
}
