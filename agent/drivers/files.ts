// Small files that survive a crash whole: the old content or the new, never a part of either.

import { randomBytes } from 'node:crypto';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncDirectory } from '#shared/sync-directory.ts';

export interface WriteOptions {
  /** Permission bits; 0644 without it. Set before any content is in the file. */
  readonly mode?: number;
}

const ABSENT = new Set(['ENOENT', 'ENOTDIR']);

/** The bytes of a file, or null when there is none. Other errors pass. */
export async function readFileOrNull(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** Whether something has this name; a dangling link has. */
export async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/**
 * Replaces `path` at once, and durably: when this returns, content and name are on disk. On an
 * error the old file stands and nothing is left beside it.
 */
export async function writeFileAtomic(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const dir = dirname(path);
  const temporary = join(dir, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    await withFile(await open(temporary, 'wx', 0o600), async (file) => {
      await file.chmod(options.mode ?? 0o644);
      await file.writeFile(content);
      await file.sync();
    });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dir);
}

/**
 * Removes what a process that died in `writeFileAtomic` has left in a directory: of the files whose
 * names start with `prefix`, where others write there too. None is fine.
 */
export async function removeDrafts(dir: string, prefix = ''): Promise<void> {
  for (const name of await namesOrNone(dir))
    if (name.startsWith(`.${prefix}`) && /^\..+\.[0-9a-f]{12}$/.test(name))
      await rm(join(dir, name), { force: true });
}

async function namesOrNone(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

/** Makes a directory with those above it, durably: what is in it is lost if its own name is. */
export async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  if (first !== undefined) await syncDirectory(dirname(first));
}

/** Removes a file durably. One that is not there is fine. */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

async function withFile(file: FileHandle, use: (file: FileHandle) => Promise<void>): Promise<void> {
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
