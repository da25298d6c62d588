// The slots as a boot begins: which image it is, what became of the other one, and the tries of an image
// that is good, given back. Kernel, initramfs and agent came up: that is all that a slot has to prove.

import type { Digest } from '#shared/digest.ts';
import type { BilletError } from '#shared/errors.ts';
import { inLinux, type VolumeDeps, withSlotVolume } from '../drivers/slot-volume.ts';
import type { BootSlot } from './boot-slot.ts';
import { entryName, freshEntry, TRIES } from './entry-name.ts';
import { hasFailed, type SeenSlot, type SlotName } from './plan.ts';
import { entriesIn } from './see.ts';
import { loadSlotRecord } from './slot-record.ts';

export interface SlotsAtBoot {
  readonly slot: SlotName;
  /** The name of the file that was started. */
  readonly entry: string;
  /** Null: it is not counted. */
  readonly triesLeft: number | null;
  /** Of the boot image that runs; null: nobody wrote down what it is. */
  readonly manifest: Digest | null;
  readonly good: boolean;
  /** Whether this boot image was started from the other slot for that generation, in vain. */
  failed(generation: number, manifest: Digest): boolean;
  readonly damage: readonly BilletError[];
}

/** Throws MOUNT_FAILED, STORE_FAILED. */
export async function slotsAtBoot(
  volume: VolumeDeps,
  stateDir: string,
  { slot: running, devices, entry: chosen }: BootSlot,
): Promise<SlotsAtBoot> {
  const { record, damage } = await loadSlotRecord(stateDir);
  const look = async (slot: SlotName): Promise<SeenSlot & { readonly name: string | null }> =>
    await withSlotVolume(volume, devices[slot], async (each) => {
      const { entry, name, litter } = entriesIn(await each.names());
      const { manifest = null, good = false } = record[slot] ?? {};
      const seen = { entry, name, litter, manifest, good, intact: true };
      const counted = slot === running && good && entry !== null && entry.triesLeft !== TRIES;
      if (!counted || name === null) return seen;
      const fresh = freshEntry(entry.generation);
      await each.rename(inLinux(name), inLinux(entryName(fresh)));
      return { ...seen, entry: fresh, name: entryName(fresh) };
    });
  const slots = { a: await look('a'), b: await look('b') };
  const { manifest, good, name, entry } = slots[running];
  return {
    ...{ slot: running, manifest, good, damage },
    entry: name ?? entryName(chosen),
    triesLeft: entry === null ? chosen.triesLeft : entry.triesLeft,
    failed: (generation, wanted) =>
      hasFailed({ running, slots }, { generation, manifest: wanted, good: false }),
  };
}
