// systemd-boot on the ESP, in its two places: whether it is what was written, and how it is mended. One
// after the other, so that there is always one that starts.

import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { SlotVolume } from '../drivers/slot-volume.ts';
import type { FetchedImage } from './fetch-image.ts';

/** Where the firmware's entry points, and what it takes without one (UEFI 2.10, §3.5.1.1). */
const PATHS = ['EFI/systemd/systemd-bootx64.efi', 'EFI/BOOT/BOOTX64.EFI'] as const;

export const loaderDamage = {
  measure: (volume: SlotVolume): Promise<(Digest | null)[]> =>
    Promise.all(PATHS.map((path) => volume.digest(path))),
  /** older: another one is wanted; it is written once the boot image that brings it is good. */
  judge(
    measured: readonly (Digest | null)[],
    recorded: Digest | null,
    wanted: Digest | null,
  ): 'intact' | 'damaged' | 'older' {
    if (recorded === null) return wanted === null ? 'intact' : 'older';
    if (measured.some((digest) => digest !== recorded)) return 'damaged';
    return wanted === null || wanted === recorded ? 'intact' : 'older';
  },
};

export interface MendRequest {
  readonly recorded: Digest | null;
  readonly wanted: Digest | null;
  readonly fetched: () => Promise<FetchedImage>;
}

/**
 * What is written there now. Where neither copy is whole, the wanted image's goes there; BOOT_SLOT_FAILED
 * where there is none.
 */
export async function mendLoader(
  volume: SlotVolume,
  { recorded, wanted, fetched }: MendRequest,
): Promise<Digest | null> {
  const measured = await loaderDamage.measure(volume);
  const whole = PATHS.find((_, index) => recorded !== null && measured[index] === recorded);
  const mends = whole !== undefined && measured.some((digest) => digest !== recorded);
  if (mends && recorded !== null) {
    for (const [index, path] of PATHS.entries())
      if (measured[index] !== recorded) await volume.write(path, volume.read(whole), recorded);
    return recorded;
  }
  const loader = wanted === null ? null : (await fetched()).loader;
  if (loader === null && measured.some((digest) => digest !== recorded)) throw beyondRepair();
  if (loader === null) return recorded;
  for (const path of PATHS) await volume.write(path, loader.content(), loader.digest);
  return loader.digest;
}

const beyondRepair = (): BilletError =>
  new BilletError('BOOT_SLOT_FAILED', 'neither copy of the boot loader is what was written', {
    hint: 'name a boot image with a loader in platform or node: it is written from there',
  });
