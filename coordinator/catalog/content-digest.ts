// What a publication consists of, as one digest: the same files have the same one, whatever they are
// called.

import { type Digest, sha256 } from '#shared/digest.ts';
import type { PublicationSpec } from '#shared/schema/publication.ts';

/** SHA-256 over lines of `<part> <digest>`, in this order, for the parts that there are. */
export const contentDigest = ({ boot, root }: PublicationSpec): Digest =>
  sha256(
    [
      `kernel ${boot.kernel}\n`,
      `initramfs ${boot.initramfs}\n`,
      ...(boot.uki === null ? [] : [`uki ${boot.uki}\n`]),
      ...(boot.loader === null ? [] : [`loader ${boot.loader}\n`]),
      ...(root === null ? [] : [`root ${root.image}\n`]),
    ].join(''),
  );
