// Removes what was judged to go, and looks once more before each: by now it may be in use, be gone, or
// be something else. Decides nothing.

import { randomBytes } from 'node:crypto';
import { lstat, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { partialName } from '#shared/build-cache.ts';
import type { Judgement } from './gc.ts';
import { type Places, sizeOf } from './observe.ts';

export interface Removed {
  readonly path: string;
  readonly bytes: number;
  /** Why it stayed after all; null when it is gone. */
  readonly kept: string | null;
}

/** One after the other; an abort ends it between two. */
export async function removeItems(
  judgements: readonly Judgement[],
  places: Places,
  { now, inUseMs, signal }: { now: () => number; inUseMs: number; signal: AbortSignal },
): Promise<readonly Removed[]> {
  const removed: Removed[] = [];
  for (const { item, goes } of judgements) {
    if (!goes) continue;
    signal.throwIfAborted();
    const { path, bytes, kind } = item;
    const size = await sizeOf(path);
    const lately = size !== null && kind !== 'partial' && now() - size.usedMs < inUseMs;
    const held = size?.isMount ? 'has a mount in it' : lately ? 'used meanwhile' : null;
    const kept = held ?? (await outside(path, places));
    if (kept === null) await removeWhole(path, item.area === 'cache');
    removed.push({ path, bytes, kept });
  }
  return removed;
}

/** A folder of its own, really below one of the places: no link on the way leads elsewhere. */
async function outside(path: string, places: Places): Promise<string | null> {
  const stat = await lstat(path).catch(() => null);
  if (stat === null) return null;
  if (stat.isSymbolicLink() || !stat.isDirectory()) return 'not a folder';
  const real = await realpath(path);
  const roots = [places.cacheDir, places.workDir, ...places.outputs.map(dirname)];
  return real === path && roots.some((root) => real.startsWith(`${root}${sep}`))
    ? null
    : 'outside of what this command looks after';
}

/**
 * An entry of the cache disappears at once, under the name of something unfinished: a builder never
 * sees half of it, and where this ends in the middle the next builder takes away the rest.
 */
async function removeWhole(path: string, isEntry: boolean): Promise<void> {
  let going = path;
  if (isEntry && !basename(path).startsWith('partial-')) {
    going = join(dirname(path), partialName('pruned', process.pid, randomBytes(8).toString('hex')));
    await rename(path, going);
  }
  await rm(going, { recursive: true, force: true });
}
