// Does a system image fit a kernel? Looks at the tree only.

import { bytesOfText, lookup, type Tree } from '#shared/artifact/composefs/tree.ts';
import { BilletError } from '#shared/errors.ts';

/** Throws KERNEL_MISMATCH unless the tree ships the modules of the kernel `release` (uname -r). */
export function assertKernelModules(tree: Tree, release: string): void {
  const places = ['/usr/lib/modules', '/lib/modules'];
  const found = places.flatMap((place) => releasesIn(tree, place));
  if (found.includes(release)) return;
  throw new BilletError(
    'KERNEL_MISMATCH',
    `the system image has no modules of kernel ${release}, but of ${[...new Set(found)].join(', ') || 'none'}`,
    {
      hint: 'pair the boot image with a system module built from the same kernel package',
      details: { release, found },
    },
  );
}

function releasesIn(tree: Tree, path: string): string[] {
  const inode = lookup(tree, bytesOfText(path));
  return inode?.kind === 'directory' ? [...inode.children.keys()] : [];
}
