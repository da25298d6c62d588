// Which slot of which disk this boot was started from: from what the loader said, and the partitions that
// there are. Pure but for its types.

import type { LoaderVariables } from '../drivers/efi-loader.ts';
import type { Partition } from '../drivers/partitions.ts';
import { type Entry, parseEntry } from './entry-name.ts';
import type { SlotName } from './plan.ts';

/** GPT names of the partitions that hold the slots (initramfs/repart.d/). */
const PARTITIONS = { a: 'billet-esp', b: 'billet-boot' } as const;

export interface BootSlot {
  readonly slot: SlotName;
  /** As it was chosen: the loader has counted this boot since. */
  readonly entry: Entry;
  /** Kernel name of the disk. */
  readonly disk: string;
  /** Device nodes of both slots. */
  readonly devices: Readonly<Record<SlotName, string>>;
}

/** Null for a boot from the network, a medium, or a disk that somebody else set up. */
export function bootSlotOf(
  loader: LoaderVariables | null,
  partitions: readonly Partition[],
): BootSlot | null {
  const entry = parseEntry(loader?.entry ?? '');
  const byUuid = (uuid: string | null | undefined) =>
    partitions.find((each) => uuid != null && each.uuid === uuid);
  const image = byUuid(loader?.imagePartition) ?? byUuid(loader?.loaderPartition);
  if (entry === null || image === undefined) return null;
  const on = (name: string) =>
    partitions.find((each) => each.disk === image.disk && each.name === name)?.device;
  const [a, b] = [on(PARTITIONS.a), on(PARTITIONS.b)];
  if (a === undefined || b === undefined) return null;
  const slot = image.device === b ? 'b' : 'a';
  return { slot, entry, disk: image.disk, devices: { a, b } };
}
