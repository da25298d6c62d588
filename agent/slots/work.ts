// What is to be done to the slots and the loader of a disk, as they were observed. Pure: types, and what
// follows from them.

import type { BootImage } from '#shared/schema/desired.ts';
import {
  hasFailed,
  planSlots,
  type SeenSlots,
  type SlotName,
  type SlotStep,
  type WantedImage,
} from './plan.ts';
import type { SlotImage } from './slot-record.ts';

export interface WantedSlots {
  readonly generation: number;
  /** Null: any will do, and the one that runs does. */
  readonly image: BootImage | null;
  /** The generation is good, and runs with this boot image. */
  readonly good: boolean;
}

export interface SlotsState extends SeenSlots {
  /** Slots that do not hold what was written there. */
  readonly corrupt: readonly SlotName[];
  /** Of the boot image that runs. */
  readonly release: SlotImage['release'];
  /** The loader does not hold what was written there, or another one is wanted. */
  readonly loader: 'intact' | 'damaged' | 'older';
}

/** What `apply` would do; the loader is no step of a slot. */
export function slotWork(
  state: SlotsState,
  wanted: WantedSlots,
): { readonly steps: readonly SlotStep[]; readonly loader: boolean; readonly failed: boolean } {
  const image = imageOf(wanted);
  const loader = mendsLoader(state, wanted);
  return { steps: planSlots(state, image), loader, failed: hasFailed(state, image) };
}

export const imageOf = ({ generation, image, good }: WantedSlots): WantedImage => ({
  generation,
  manifest: image?.manifest ?? null,
  good,
});

/** Another one only once the boot image that brings it is good. */
export const mendsLoader = ({ loader }: SlotsState, { good }: WantedSlots): boolean =>
  loader === 'damaged' || (loader === 'older' && good);
