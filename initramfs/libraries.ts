// The shared libraries that programs need, found in a root by what their ELF headers say (readelf).

import { lstat, readlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { execOrThrow, hostExec } from '../agent/drivers/exec.ts';

const LIBRARY_DIRS = [
  'usr/lib/x86_64-linux-gnu',
  'usr/lib',
  'usr/lib64',
  'lib/x86_64-linux-gnu',
  'lib64',
];

/**
 * Paths in `root` of all libraries that `programs` (absolute on the host) need, without symbolic
 * links: one name each, as the loader asks for it. Throws UNSUPPORTED for one that is not in `root`.
 */
export async function librariesOf(
  root: string,
  programs: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  let open = [...programs];
  while (open.length > 0) {
    const output = await execOrThrow(
      hostExec,
      ['readelf', '-d', '-W', ...(open as [string, ...string[]])],
      signal,
      'install binutils',
    );
    const needed = [...output.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map(
      ([, name = '']) => name,
    );
    open = [];
    for (const name of new Set(needed)) {
      if (found.has(name)) continue;
      const path = await locate(root, name);
      found.set(name, path);
      open.push(path);
    }
  }
  return found;
}

async function locate(root: string, name: string): Promise<string> {
  for (const dir of LIBRARY_DIRS) {
    const path = await realPathIn(root, join(root, dir, name));
    if (path !== null) return path;
  }
  throw new BilletError(
    'UNSUPPORTED',
    `${name} is in none of ${LIBRARY_DIRS.join(', ')} of ${root}`,
    {
      hint: 'add the package that brings it to the packages of the boot image',
    },
  );
}

/** The file behind symbolic links, none of which leaves `root`; null when there is none. */
async function realPathIn(root: string, path: string): Promise<string | null> {
  const entry = await lstat(path).catch(() => null);
  if (entry === null) return null;
  if (!entry.isSymbolicLink()) return path;
  const target = await readlink(path);
  const next = target.startsWith('/') ? join(root, target) : resolve(dirname(path), target);
  if (!next.startsWith(`${root}/`) || basename(next) === '') return null;
  return await realPathIn(root, next);
}
