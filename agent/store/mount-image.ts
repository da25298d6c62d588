// A composefs image as a read-only tree: the EROFS metadata image below, an overlay that finds
// content in the objects and, where it can, has the kernel check each file against its digest.
//
//   overlay (verity=require) -> EROFS image, a sealed file -> objects/, sealed files
//
// Source: composefs' design, Linux Documentation/filesystems/overlayfs.rst, "Data-only lower layers"
// and "fs-verity support".

import { mkdtemp, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Digest, hexOf } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { diskError } from '../drivers/disk-error.ts';
import type { AttachLoop } from '../drivers/loop-device.ts';
import { type Mounts, mountErrno } from '../drivers/mounts.ts';
import type { StorePaths } from './layout.ts';

export interface ImageMounter {
  readonly mounts: Mounts;
  readonly attachLoop: AttachLoop;
  readonly paths: StorePaths;
  readonly verity: boolean;
}

/** What the mount table shows as the source of an image. */
const mountSource = (digest: Digest): string => `composefs:${hexOf(digest)}`;

/** The image behind a line of the mount table; null for other mounts. */
export function mountedDigest(source: string): string | null {
  const hex = /^composefs:([0-9a-f]{64})$/.exec(source)?.[1];
  return hex === undefined ? null : `sha256:${hex}`;
}

/** The caller has measured the image. Throws MOUNT_FAILED or UNSUPPORTED, with nothing mounted. */
export async function mountComposefs(
  { mounts, attachLoop, paths, verity }: ImageMounter,
  digest: Digest,
  target: string,
): Promise<void> {
  const lower = await mkdtemp(join(paths.temporary, 'lower-')).catch((error: unknown) => {
    throw diskError(error, 'mount an image');
  });
  try {
    mountErofs(paths.image(hexOf(digest)), lower, mounts, attachLoop);
    try {
      mounts.mount({
        source: mountSource(digest),
        target,
        type: 'overlay',
        flags: ['ro', 'nodev'],
        options: overlayOptions(lower, paths.objects, verity),
      });
    } finally {
      // The overlay holds its own reference; the name in the tree is not needed any more.
      mounts.unmount(lower, { detach: true });
    }
  } finally {
    await rmdir(lower);
  }
}

function overlayOptions(lower: string, objects: string, verity: boolean): string {
  for (const path of [lower, objects])
    if (/[,:\\]/.test(path))
      throw new BilletError('UNSUPPORTED', `a store cannot lie at ${path}`, {
        hint: 'use a path without , : and \\',
      });
  const options = [`lowerdir=${lower}::${objects}`, 'metacopy=on', 'redirect_dir=on'];
  return [...options, ...(verity ? ['verity=require'] : [])].join(',');
}

/** Linux mounts an EROFS image from a file since 6.12; before, it takes a loop device. */
function mountErofs(image: string, target: string, mounts: Mounts, attachLoop: AttachLoop): void {
  const request = { target, type: 'erofs', flags: ['ro', 'nodev'] as const };
  try {
    mounts.mount({ ...request, source: image });
    return;
  } catch (error) {
    if (mountErrno(error) !== 'ENOTBLK') throw error;
  }
  const loop = attachLoop(image, { readOnly: true });
  try {
    mounts.mount({ ...request, source: loop.path });
  } finally {
    loop.release();
  }
}
