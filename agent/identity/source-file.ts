// Reads the small files that identity strategies look at. Absence is an answer; other errors pass.

import { readdir, readFile } from 'node:fs/promises';

const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ENODEV', 'EISDIR']);

const isAbsent = (error: unknown): boolean =>
  error instanceof Error && ABSENT.has((error as NodeJS.ErrnoException).code ?? '');

/** The bytes of a file, or null if there is none. */
export async function bytesOrNull(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

export async function textOrNull(path: string): Promise<string | null> {
  return (await bytesOrNull(path))?.toString('utf8') ?? null;
}

/** Sorted names in a directory; none when it does not exist. */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return (await readdir(path)).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw error;
  }
}
