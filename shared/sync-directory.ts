// Makes the names in a directory survive a power cut: fsync(2) on the directory itself.

import { open } from 'node:fs/promises';

/** A new, renamed or removed file is so on the disk after this, too. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
