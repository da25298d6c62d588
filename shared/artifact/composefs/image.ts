// A tree as an image with the digest that names it. Pure; stores nothing.

import { type Digest, digestOfHex } from '#shared/digest.ts';
import { writeErofs } from './erofs.ts';
import { fsverityHex } from './fsverity.ts';
import type { Tree } from './tree.ts';

export interface ComposedImage {
  readonly bytes: Buffer;
  /** fs-verity digest of the image: what the label `containers.composefs.fsverity` holds. */
  readonly digest: Digest;
}

/** The same tree gives the same bytes everywhere. Errors: COMPOSEFS_FORMAT. */
export function composeImage(tree: Tree): ComposedImage {
  const bytes = writeErofs(tree);
  return { bytes, digest: digestOfHex(fsverityHex(bytes)) };
}
