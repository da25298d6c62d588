// The folder of one attempt, work/hardware-smoke/<UTC time>/, and `latest` beside it, which always
// points at the newest. Files appear whole or not at all; knows nothing of what is in them.

import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';

export const LATEST = 'latest';
const SAME_SECOND_MAX = 100;

export interface Evidence {
  readonly dir: string;
  path(name: string): string;
  write(name: string, text: string): Promise<void>;
  writeJson(name: string, value: unknown): Promise<void>;
}

/** Makes the folder below `root` and points `latest` at it. Throws COMMAND_FAILED where it cannot. */
export async function openEvidence(root: string, clock: Clock): Promise<Evidence> {
  const name = await claimed(root, timeName(clock.now()));
  await pointLatest(root, name);
  const dir = join(root, name);
  const path = (file: string) => join(dir, file);
  const write = async (file: string, text: string) => {
    const partial = path(`.${file}.partial`);
    await writeFile(partial, text);
    await rename(partial, path(file));
  };
  return {
    dir,
    path,
    write,
    writeJson: (file, value) => write(file, `${JSON.stringify(value, null, 2)}\n`),
  };
}

/** `20261122T001717Z`: sorts by time, and is a name on every file system. */
const timeName = (ms: number): string => new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '');

/** Whoever makes the folder has it: two attempts never share one. */
async function claimed(root: string, base: string): Promise<string> {
  try {
    await mkdir(root, { recursive: true });
    for (let i = 1; i < SAME_SECOND_MAX; i += 1) {
      const name = i === 1 ? base : `${base}-${i}`;
      if (await made(join(root, name))) return name;
    }
  } catch (cause) {
    throw unwritable(root, cause);
  }
  throw unwritable(root, new Error(`${SAME_SECOND_MAX} folders of one second`));
}

async function made(dir: string): Promise<boolean> {
  try {
    await mkdir(dir);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** rename(2) replaces the link at once: there is no moment without one. */
async function pointLatest(root: string, name: string): Promise<void> {
  const next = join(root, `.${LATEST}-${name}`);
  try {
    await symlink(name, next);
    await rename(next, join(root, LATEST));
  } catch (cause) {
    await rm(next, { force: true });
    throw unwritable(join(root, LATEST), cause);
  }
}

export const unwritable = (path: string, cause: unknown) =>
  new BilletError('COMMAND_FAILED', `cannot write ${path}: ${(cause as Error).message}`, {
    hint: 'name a folder that is yours and has room with --work; billet work prune makes some',
    cause,
  });
