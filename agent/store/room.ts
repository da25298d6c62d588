// Room on the file system of the store. Whoever else writes there (persistent data, the agent's own
// journal) keeps a reserve that no pull takes. Measures; makes no room.

import { statfsSync } from 'node:fs';
import { storeFull } from './disk-error.ts';

const RESERVE_MAX_BYTES = 64 * 1024 * 1024;
/** Of a small disk. */
const RESERVE_SHARE = 0.05;

/** Bytes that modules may still take; negative when the reserve is used already. */
export function roomBytes(dir: string): number {
  const { bavail, blocks, bsize } = statfsSync(dir);
  return bavail * bsize - Math.min(RESERVE_MAX_BYTES, blocks * bsize * RESERVE_SHARE);
}

/** Throws STORE_FULL unless `neededBytes` fit beside the reserve. */
export function assertRoom(dir: string, neededBytes: number): void {
  const room = roomBytes(dir);
  if (room < neededBytes) throw storeFull('write objects', { roomBytes: Math.max(0, room) });
}
