// What a pull that finds no room does: gives back what it took, and tries again only where that helps.
// Knows neither layers nor roots: what it has removed is what nothing in the store refers to.

import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { storeFull } from '../drivers/disk-error.ts';
import type { Room } from './room.ts';
import type { SharedOrAlone } from './shared-or-alone.ts';

export interface RoomDeps {
  readonly lock: SharedOrAlone;
  readonly room: () => Room;
  /** Removes objects that nothing refers to. */
  readonly sweep: () => Promise<unknown>;
}

export interface PullWork<T> {
  readonly manifest: Digest;
  /** Without a source: null when it is not here. */
  readonly load: () => Promise<T | null>;
  readonly pull: () => Promise<T>;
}

/** Less than this more is no reason to fetch a module again. */
const MORE: Room = { bytes: 1024 * 1024, files: 64 };

/**
 * Runs `pull`. When it ends with STORE_FULL, the store is swept, since its own objects and those of
 * earlier pulls that failed are garbage; if that leaves more room than it began with, it runs once
 * more. After that it is refused at once until there is more room: a node whose disk is full does not
 * fetch the same layers every 30 seconds.
 */
export function pullWithRoom({ lock, room, sweep }: RoomDeps) {
  const beganWith = new Map<Digest, Room>();
  const hasMore = (manifest: Digest): boolean => {
    const [before, now] = [beganWith.get(manifest), room()];
    if (before === undefined) return true;
    return now.bytes >= before.bytes + MORE.bytes || now.files >= before.files + MORE.files;
  };

  return async function run<T>(work: PullWork<T>): Promise<T> {
    const { manifest, load, pull } = work;
    if (!hasMore(manifest)) {
      const held = await lock.shared(load);
      if (held !== null) return held;
      throw storeFull('pull a module', { manifest });
    }
    const began = room();
    try {
      const pulled = await lock.shared(pull);
      beganWith.delete(manifest);
      return pulled;
    } catch (error) {
      if (!(error instanceof BilletError) || error.code !== 'STORE_FULL') throw error;
      beganWith.set(manifest, began);
      // A store that cannot be swept is full all the same, and that is the error to show.
      await lock.alone(sweep).catch(() => null);
      if (!hasMore(manifest)) throw error;
      return await run(work);
    }
  };
}
