// Reads what builds, attempts and measurements have left on the disk: sizes, ages, and what holds them.
// Follows no symbolic link and crosses no mount; changes nothing.

import type { Stats } from 'node:fs';
import { access, lstat, readdir, readlink, realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { entryKind, partialPid } from '#shared/build-cache.ts';
import type { Clock } from '#shared/clock.ts';
import type { Area, Item } from './gc.ts';

export interface Places {
  /** The build cache. */
  readonly cacheDir: string;
  /** Evidence: folders named by a time, at any depth down to three. */
  readonly workDir: string;
  /** Folders that a tool writes anew: coverage, compiled code. */
  readonly outputs: readonly string[];
}

/** As hardware-smoke, the walk and the benchmarks name theirs. */
const TIME_NAME = /^\d{8}T\d{6}Z?(?:[-.]\w+)?$/;
const DEPTH = 3;

interface Found {
  readonly area: Area;
  readonly kind: string;
  readonly path: string;
  readonly held: string | null;
}

/** Of places that are not there, nothing. */
export async function observeWork(places: Places, clock: Clock): Promise<readonly Item[]> {
  const found = [
    ...(await cacheEntries(places.cacheDir)),
    ...(await evidence(places.workDir, places.workDir, DEPTH)),
    ...(await outputs(places.outputs)),
  ];
  const items: Item[] = [];
  for (const one of found) {
    const size = await sizeOf(one.path);
    if (size === null) continue;
    const held = one.held ?? (size.isMount ? 'has a mount in it' : null);
    items.push({ ...one, held, bytes: size.bytes, ageMs: Math.max(0, clock.now() - size.usedMs) });
  }
  return items;
}

/** Keys and whatever else is no entry of a build stays: nothing here can make it again. */
async function cacheEntries(root: string): Promise<readonly Found[]> {
  const names = await namesIn(root);
  const found = names.map(async (name): Promise<Found> => {
    const path = join(root, name);
    const pid = partialPid(name);
    if (pid !== null) {
      const held = (await isThere(`/proc/${pid}`)) ? 'being built' : null;
      return { area: 'cache', kind: 'partial', path, held };
    }
    const kind = entryKind(name);
    return { area: 'cache', kind: kind ?? name, path, held: kind === null ? 'not an entry' : null };
  });
  return await Promise.all(found);
}

/** A link beside the folders (`latest`) holds the one that it points at. */
async function evidence(root: string, dir: string, depth: number): Promise<readonly Found[]> {
  const found: Found[] = [];
  const names = await namesIn(dir);
  const pointedAt = new Set<string>();
  for (const name of names) {
    const target = await readlink(join(dir, name)).catch(() => null);
    if (target !== null) pointedAt.add(resolve(dir, target));
  }
  for (const name of names) {
    const path = join(dir, name);
    const stat = await lstat(path).catch(() => null);
    if (stat?.isDirectory() !== true) continue;
    if (TIME_NAME.test(name))
      found.push({
        ...{ area: 'evidence', kind: dir.slice(root.length + 1) || '.', path },
        held: pointedAt.has(path) ? 'latest' : null,
      });
    else if (depth > 1) found.push(...(await evidence(root, path, depth - 1)));
  }
  return found;
}

async function outputs(paths: readonly string[]): Promise<readonly Found[]> {
  const found: Found[] = [];
  for (const path of paths) {
    const stat = await lstat(path).catch(() => null);
    // Through a link it is a folder of somewhere else.
    if (stat?.isDirectory() && (await realFolder(path)) === path)
      found.push({ area: 'output', kind: basename(path), path, held: null });
  }
  return found;
}

interface Size {
  /** On the disk: what is sparse counts for what it takes. */
  readonly bytes: number;
  /** The newest time of the folder itself and of every file in it. */
  readonly usedMs: number;
  readonly isMount: boolean;
}

/** Null for what is gone meanwhile. */
export async function sizeOf(path: string): Promise<Size | null> {
  const top = await lstat(path).catch(() => null);
  if (top === null) return null;
  let usedMs = top.mtimeMs;
  let [bytes, isMount] = [top.blocks * 512, false];
  const visit = async (dir: string): Promise<void> => {
    for (const name of await namesIn(dir)) {
      const stat: Stats | null = await lstat(join(dir, name)).catch(() => null);
      if (stat === null) continue;
      if (stat.dev !== top.dev) {
        isMount = true;
        continue;
      }
      bytes += stat.blocks * 512;
      if (stat.isDirectory()) await visit(join(dir, name));
      else usedMs = Math.max(usedMs, stat.mtimeMs);
    }
  };
  if (top.isDirectory()) await visit(path);
  return { bytes, usedMs, isMount };
}

/** The same folder under the one name that no link stands in; itself where it is not there. */
export const realFolder = (path: string): Promise<string> =>
  realpath(path).catch(() => resolve(path));

const namesIn = async (dir: string): Promise<readonly string[]> =>
  (await readdir(dir).catch(() => [])).sort();

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
