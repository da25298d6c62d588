// Files that are whole or not there, also after a power cut: written beside, synced, renamed, and
// the directory synced. Knows nothing of what the bytes mean.

import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../sync-directory.ts';

/**
 * Writes what `fill` writes, then puts it at `path`. When `fill` throws, nothing is left. `staging`
 * is a directory on the same file system, made if missing.
 */
export async function writeDurably(
  path: string,
  staging: string,
  fill: (file: FileHandle) => Promise<void>,
): Promise<void> {
  await mkdir(staging, { recursive: true });
  const temporary = join(staging, randomUUID());
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      await fill(file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Writes all of `chunk` at the file's position. */
export async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let offset = 0;
  while (offset < chunk.length) {
    const { bytesWritten } = await file.write(chunk, offset, chunk.length - offset);
    offset += bytesWritten;
  }
}

/** True for the error of an absent file or directory. */
export const isAbsent = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === 'ENOENT' || error.code === 'ENOTDIR');
