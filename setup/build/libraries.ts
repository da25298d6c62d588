// The shared libraries of programs in a Debian root, found by that root's own loader.

import { basename } from 'node:path';
import { run } from './drivers/run.ts';

const LOADER = '/usr/lib64/ld-linux-x86-64.so.2';

/**
 * Absolute paths inside `root` of every library that `programs` (paths inside `root`) load, sorted,
 * the loader included, by their merged-/usr names. ld.so(8): `--list` prints `name => path (address)`.
 */
export async function librariesOf(
  root: string,
  programs: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const found = new Set([LOADER]);
  for (const program of programs) {
    const list = await run(['chroot', root, LOADER, '--list', program], {
      signal,
      hint: `the Debian root lacks a library of ${basename(program)}: add its package to the list`,
    });
    for (const [, path = ''] of list.matchAll(/=> (\/\S+)/g))
      found.add(path.replace(/^\/lib/, '/usr/lib'));
  }
  return [...found].sort();
}
