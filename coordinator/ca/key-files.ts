// The directories of the CAs on disk, each made whole or not at all, and refused when others could
// read a key. Knows nothing of what is in the files.
//
//   ca/           ca.key and ca.crt of the CA that issues; cross.crt, its key signed by the one before
//   ca.previous/  the CA before it, until it is retired
//   ca.new/       being written
//   ca.retired/   being deleted

import { existsSync, lstatSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { syncDirectory } from '#shared/sync-directory.ts';

/** PEM. */
export interface KeyFiles {
  readonly key: string;
  readonly certificate: string;
  /** The same key and name, signed by the CA before; null of a CA that is the first. */
  readonly cross: string | null;
}

/** What changes the disk, one by one, so that a test may end the process before each. */
export interface DiskSteps {
  write(path: string, text: string, mode: number): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

export interface CaFiles {
  /** Finishes what a crash left half done. Before anything else. */
  settle(): Promise<void>;
  readIssuing(): Promise<KeyFiles | null>;
  readPrevious(): Promise<KeyFiles | null>;
  writeFirst(files: KeyFiles): Promise<void>;
  /** `files` issue from now on; those that did are the previous ones. A crash leaves one or the other. */
  advance(files: KeyFiles): Promise<void>;
  /** Deletes the previous CA with its key. */
  retire(): Promise<void>;
}

const KEY = 'ca.key';
const CERTIFICATE = 'ca.crt';
const CROSS = 'cross.crt';

export const DISK: DiskSteps = {
  write: writeSynced,
  async rename(from, to) {
    await rename(from, to);
    await syncDirectory(dirname(to));
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
};

export function caFiles(directory: string, disk: DiskSteps = DISK): CaFiles {
  const [fresh, previous, retired] = ['new', 'previous', 'retired'].map(
    (suffix) => `${directory}.${suffix}`,
  ) as [string, string, string];

  async function writeFresh({ key, certificate, cross }: KeyFiles): Promise<void> {
    await disk.remove(fresh);
    await mkdir(fresh, { recursive: true, mode: 0o700 });
    await disk.write(join(fresh, KEY), key, 0o600);
    await disk.write(join(fresh, CERTIFICATE), certificate, 0o644);
    if (cross !== null) await disk.write(join(fresh, CROSS), cross, 0o644);
    await syncDirectory(fresh);
  }

  return {
    async settle() {
      // Between the two renames of `advance`: what was written was whole before the first of them.
      if (!existsSync(directory) && existsSync(previous)) await disk.rename(fresh, directory);
      await disk.remove(fresh);
      await disk.remove(retired);
    },

    readIssuing: () => readKeyFiles(directory),
    readPrevious: () => readKeyFiles(previous),

    async writeFirst(files) {
      await writeFresh(files);
      await disk.rename(fresh, directory);
    },

    async advance(files) {
      await writeFresh(files);
      await disk.rename(directory, previous);
      await disk.rename(fresh, directory);
    },

    async retire() {
      if (existsSync(previous)) await disk.rename(previous, retired);
      await disk.remove(retired);
    },
  };
}

/** Null when there is no CA yet; CA_INVALID when there is half of one, or one that others can read. */
async function readKeyFiles(directory: string): Promise<KeyFiles | null> {
  const [key, certificate] = [join(directory, KEY), join(directory, CERTIFICATE)];
  const present = [key, certificate].filter((path) => existsSync(path));
  if (present.length === 0) return null;
  if (present.length === 1)
    throw caInvalid(`${directory} holds ${present[0]} alone`, 'restore the other file from a copy');
  assertPrivate(key);
  const cross = join(directory, CROSS);
  return {
    key: await readFile(key, 'utf8'),
    certificate: await readFile(certificate, 'utf8'),
    cross: existsSync(cross) ? await readFile(cross, 'utf8') : null,
  };
}

function assertPrivate(path: string): void {
  const { mode, uid } = lstatSync(path);
  const own = uid === 0 || uid === process.getuid?.();
  if ((mode & 0o170077) !== 0o100000 || !own)
    throw caInvalid(
      `${path} has mode ${(mode & 0o7777).toString(8)} and owner ${uid}; others may have read it`,
      `chmod 600 ${path} if you know that nobody did, else make a new CA`,
    );
}

async function writeSynced(path: string, text: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

export const caInvalid = (message: string, hint: string, cause?: unknown) =>
  new BilletError('CA_INVALID', message, { hint, cause });
