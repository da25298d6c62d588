// What is baked into the boot image: the coordinator, and the CA to trust. The last to be asked, and never
// who the machine is: one image boots any number of them.

import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { BOOT_IMAGE_INFO_PATH, BootImageInfo } from '#shared/schema/boot-image-info.ts';
import { textOrNull } from './source-file.ts';
import type { IdentityStrategy } from './strategy.ts';

export function imageStrategy({ root = '/' }: { readonly root?: string } = {}): IdentityStrategy {
  return {
    name: 'image',
    place: 'the boot image: billet image build --coordinator URL --ca DIGEST',
    isAnchor: true,
    async read() {
      const info = await bakedInfo(root);
      if (info === null) return null;
      const { coordinator, ca } = info;
      return coordinator === undefined || ca === undefined ? null : { coordinator, ca };
    },
  };
}

/** What the running boot image says of itself; null outside of one. Throws CONFIG_INVALID. */
export async function bakedInfo(root = '/'): Promise<BootImageInfo | null> {
  const text = await textOrNull(join(root, BOOT_IMAGE_INFO_PATH));
  return text === null ? null : parseInfo(text);
}

function parseInfo(text: string): BootImageInfo {
  try {
    return BootImageInfo.parse(JSON.parse(text));
  } catch (cause) {
    throw new BilletError(
      'CONFIG_INVALID',
      `${BOOT_IMAGE_INFO_PATH} is not what a boot image has`,
      {
        hint: 'build the boot image anew: billet image build',
        cause,
      },
    );
  }
}
