// What was built, by what it was built from. An entry appears whole or not at all; nothing in it
// changes afterwards.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, readlink, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { entryKind, IN_USE_MS, partialName, partialPid } from '#shared/build-cache.ts';
import type { Clock } from '#shared/clock.ts';
import { type Digest, sha256 } from '#shared/digest.ts';

/** Names of inputs with what each is: a digest or a short text. */
export type Inputs = Readonly<Record<string, string>>;

const KEPT_PER_KIND = 3;

/** The key of an entry: equal inputs, in any order, have equal keys. */
export function cacheKey(inputs: Inputs): string {
  const sorted = Object.entries(inputs).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256(JSON.stringify(sorted)).slice('sha256:'.length, 'sha256:'.length + 16);
}

/**
 * The directory of the entry `kind` made of `inputs`; `build` fills it where it does not exist. Two
 * builders at once both build, and the first to end wins. Older entries of the kind are removed,
 * except the last ones used.
 */
export async function cached(
  place: { readonly cacheDir: string; readonly clock: Clock },
  kind: string,
  inputs: Inputs,
  build: (dir: string) => Promise<void>,
): Promise<string> {
  const entry = join(place.cacheDir, `${kind}-${cacheKey(inputs)}`);
  if (!existsSync(entry)) {
    const partial = join(place.cacheDir, partialName(kind, process.pid, cacheKey(inputs)));
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true });
    try {
      await build(partial);
      await rename(partial, entry);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      if (!existsSync(entry)) throw error;
    }
  }
  const usedAt = place.clock.now() / 1000;
  await utimes(entry, usedAt, usedAt);
  await sweep(place, kind);
  return entry;
}

/** Removes the least recently used entries of a kind, and what builders that died left behind. */
async function sweep(
  { cacheDir, clock }: { readonly cacheDir: string; readonly clock: Clock },
  kind: string,
): Promise<void> {
  const names = readdirSync(cacheDir);
  const old = names
    .filter((name) => entryKind(name) === kind)
    .map((name) => ({ name, usedAt: statSync(join(cacheDir, name)).mtimeMs }))
    .sort((a, b) => b.usedAt - a.usedAt)
    .slice(KEPT_PER_KIND)
    .filter(({ usedAt }) => usedAt <= clock.now() - IN_USE_MS);
  const dead = names.filter((name) => {
    const pid = partialPid(name);
    return pid !== null && !existsSync(`/proc/${pid}`);
  });
  for (const name of [...old.map((entry) => entry.name), ...dead])
    await rm(join(cacheDir, name), { recursive: true, force: true });
}

/** SHA-256 of one file's bytes. */
export const fileDigest = async (file: string): Promise<Digest> => sha256(await readFile(file));

/** SHA-256 over names, kinds, modes and contents of a file or tree; owner and times don't count. */
export async function treeDigest(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  const visit = async (at: string, name: string): Promise<void> => {
    const stat = await lstat(at);
    hash.update(`${name}\0${stat.mode.toString(8)}\0`);
    if (stat.isSymbolicLink()) hash.update(await readlink(at));
    else if (stat.isFile()) hash.update(createHash('sha256').update(readFileSync(at)).digest());
    else
      for (const child of (await readdir(at)).sort())
        await visit(join(at, child), `${name}/${child}`);
  };
  await visit(path, '.');
  return `sha256:${hash.digest('hex')}` as Digest;
}
