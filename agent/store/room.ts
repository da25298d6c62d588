// Room on the file system of the store. Whoever else writes there (persistent data, the agent's own
// journal) keeps a reserve that no pull takes. Measures; makes no room.

import { statfsSync } from 'node:fs';
import { storeFull } from '../drivers/disk-error.ts';

const RESERVE_MAX_BYTES = 64 * 1024 * 1024;
/** Of a small disk. */
const RESERVE_SHARE = 0.05;

export interface Room {
  /** That modules may still take; negative when the reserve is used already. */
  readonly bytes: number;
  /** Inodes; 0 where the file system makes them as it goes. */
  readonly files: number;
}

export function roomIn(dir: string): Room {
  const { bavail, blocks, bsize, ffree } = statfsSync(dir);
  const reserve = Math.min(RESERVE_MAX_BYTES, blocks * bsize * RESERVE_SHARE);
  return { bytes: bavail * bsize - reserve, files: ffree };
}

/** Throws STORE_FULL unless `neededBytes` fit beside the reserve. */
export function assertRoom(dir: string, neededBytes: number): void {
  const { bytes } = roomIn(dir);
  if (bytes < neededBytes) throw storeFull('write objects', { roomBytes: Math.max(0, bytes) });
}
