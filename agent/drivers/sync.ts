// syncfs(2): everything that was written to a file system is on its device. One call for a whole tree.

import { closeSync, openSync } from 'node:fs';
import { diskError } from './disk-error.ts';
import { openLibc } from './libc.ts';

/** Throws STORE_FULL or STORE_FAILED. */
export function syncFilesystem(dir: string, libc = openLibc()): void {
  const fd = openSync(dir, 'r');
  try {
    const failed = libc.syncfs(fd);
    if (failed !== null)
      throw Object.assign(new Error(`syncfs: ${failed.errno}`), { code: failed.errno });
  } catch (error) {
    throw diskError(error, `write ${dir} to disk`);
  } finally {
    closeSync(fd);
  }
}
