// What has to be done to the two boot slots so that the next boot takes up the wanted boot image, and has
// another one to fall back to. Pure: same inputs, same steps.

import type { Digest } from '#shared/digest.ts';
import { type Entry, isExhausted, outranks, TRIES } from './entry-name.ts';

/** a: on the ESP, b: on the extended boot loader partition: a torn write of one leaves the other. */
export type SlotName = 'a' | 'b';

export interface SeenSlot {
  /** Null: there is none. The first by rank, where there are several. */
  readonly entry: Entry | null;
  /** The manifest of the boot image that was written there; null: nobody knows. */
  readonly manifest: Digest | null;
  /** Its bytes are those of the manifest. */
  readonly intact: boolean;
  /** The record calls it good: its kernel and initramfs have come up with a good generation. */
  readonly good: boolean;
  /** Other files of slots, and what a write that was cut off has left. */
  readonly litter: readonly string[];
}

export interface SeenSlots {
  /** The one that this boot was started from. */
  readonly running: SlotName;
  readonly slots: Readonly<Record<SlotName, SeenSlot>>;
}

export interface WantedImage {
  readonly generation: number;
  /** Null: any will do, and the one that runs does. */
  readonly manifest: Digest | null;
  /** The wanted generation is good, and runs with this boot image. */
  readonly good: boolean;
}

export type SlotStep =
  | { readonly kind: 'clear'; readonly slot: SlotName; readonly names: readonly string[] }
  /** From the registry, verified; it replaces what is in the slot. */
  | { readonly kind: 'write'; readonly slot: SlotName; readonly generation: number }
  /** The same bytes as in the other slot. */
  | { readonly kind: 'copy'; readonly slot: SlotName; readonly generation: number }
  /** A new number, and all tries. */
  | { readonly kind: 'renumber'; readonly slot: SlotName; readonly generation: number }
  /** The loader passes it over. */
  | { readonly kind: 'retire'; readonly slot: SlotName }
  /** It is good: all its tries are given back. */
  | { readonly kind: 'bless'; readonly slot: SlotName };

export const otherSlot = (slot: SlotName): SlotName => (slot === 'a' ? 'b' : 'a');

/** A number below that of every generation. */
const FALLBACK = 0;

/** Steps in their order: whenever they are cut off, a slot that boots is left. Empty: all is well. */
export function planSlots(seen: SeenSlots, wanted: WantedImage): SlotStep[] {
  const clear = (['a', 'b'] as const).flatMap((slot): SlotStep[] => {
    const { litter } = seen.slots[slot];
    return litter.length === 0 ? [] : [{ kind: 'clear', slot, names: litter }];
  });
  const here = seen.slots[seen.running];
  const runs = wanted.manifest === null || here.manifest === wanted.manifest;
  return [...clear, ...(runs ? keepRunning(seen, wanted) : takeOther(seen, wanted))];
}

/** The wanted boot image runs: it stays the first, and gets something behind it. */
function keepRunning({ running, slots }: SeenSlots, wanted: WantedImage): SlotStep[] {
  const [here, there] = [slots[running], slots[otherSlot(running)]];
  if (!here.intact || here.entry === null) return mend({ running, slots }, wanted);
  const { entry } = here;
  const after = wanted.good ? { ...entry, triesLeft: TRIES } : entry;
  return [
    ...(wanted.good && (!here.good || entry.triesLeft !== TRIES)
      ? [{ kind: 'bless', slot: running } as const]
      : []),
    ...(there.entry !== null && outranks(there.entry, after) && !isExhausted(there.entry)
      ? [{ kind: 'retire', slot: otherSlot(running) } as const]
      : []),
    // Nobody falls back to what is not known to work, nor to what is known not to.
    ...(wanted.good && (!there.intact || hasNotComeUp(there))
      ? [{ kind: 'copy', slot: otherSlot(running), generation: FALLBACK } as const]
      : []),
  ];
}

const hasNotComeUp = ({ entry, good }: SeenSlot): boolean =>
  entry === null || (isExhausted(entry) && !good);

/** The slot that runs is damaged since it was read: it is written anew, with a whole one at its side. */
function mend({ running, slots }: SeenSlots, wanted: WantedImage): SlotStep[] {
  const [here, there] = [slots[running], slots[otherSlot(running)]];
  // Where nobody knows what it should be, there is nothing to write.
  if (here.manifest === null) return [];
  const generation = here.entry?.generation ?? wanted.generation;
  const copy: SlotStep = { kind: 'copy', slot: running, generation };
  if (there.intact && there.manifest === here.manifest) return [copy];
  if (wanted.manifest === null) return [];
  if (there.intact) return [{ kind: 'write', slot: running, generation }];
  return [{ kind: 'write', slot: otherSlot(running), generation: FALLBACK }, copy];
}

/** Another boot image is wanted than the one that runs: it belongs into the other slot. */
function takeOther(
  { running, slots }: SeenSlots,
  { generation, manifest }: WantedImage,
): SlotStep[] {
  const slot = otherSlot(running);
  const [here, there] = [slots[running], slots[slot]];
  const retire: SlotStep = { kind: 'retire', slot: running };
  if (there.manifest !== manifest || !there.intact || there.entry === null) {
    const first = here.entry === null || isExhausted(here.entry);
    const write: SlotStep = { kind: 'write', slot, generation };
    return first || generation > (here.entry?.generation ?? 0) ? [write] : [write, retire];
  }
  if (isExhausted(there.entry))
    return there.entry.generation === generation ? [] : [{ kind: 'renumber', slot, generation }];
  if (here.entry === null || outranks(there.entry, here.entry)) return [];
  return generation > here.entry.generation ? [{ kind: 'renumber', slot, generation }] : [retire];
}

/**
 * The wanted boot image was started from its slot as often as it may be, and the loader has gone back to
 * the one that runs.
 */
export function hasFailed({ running, slots }: SeenSlots, wanted: WantedImage): boolean {
  const there = slots[otherSlot(running)];
  return (
    wanted.manifest !== null &&
    slots[running].manifest !== wanted.manifest &&
    there.manifest === wanted.manifest &&
    there.entry?.generation === wanted.generation &&
    isExhausted(there.entry)
  );
}
