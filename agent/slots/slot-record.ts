// What was written to the boot slots of this machine, as the data disk remembers it: which boot image, by
// which digest, and whether it turned good. Keeps; judges nothing.

import { join } from 'node:path';
import { z } from 'zod';
import { Digest } from '#shared/digest.ts';
import type { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import { ModuleName } from '#shared/schema/module.ts';
import { lostBy, readChecked, setAside, writeChecked } from '../checked-file.ts';

const SlotImage = z.object({
  manifest: Digest,
  uki: Digest,
  kernelRelease: z.string().max(128),
  /** It has come up with a generation that turned good. */
  good: z.boolean(),
  /** What its signed manifest calls it; null where it was written by an installation. */
  release: z.object({ name: ModuleName, sequence: z.int().nonnegative() }).nullable(),
});
export type SlotImage = z.infer<typeof SlotImage>;

export const SlotRecord = z.object({
  format: z.literal(1),
  a: SlotImage.nullable(),
  b: SlotImage.nullable(),
  /** Of systemd-boot; null: nobody knows. */
  loader: Digest.nullable(),
});
export type SlotRecord = z.infer<typeof SlotRecord>;

const FILE = 'slots.json';
const NOTHING: SlotRecord = { format: 1, a: null, b: null, loader: null };

/** As an installation leaves it: one slot is written. Null for an image without a UKI. */
export function installedRecord(image: BootImage): SlotRecord | null {
  const { manifest, uki, loader, kernelRelease } = image;
  if (uki === null) return null;
  return { ...NOTHING, a: { manifest, uki, kernelRelease, good: false, release: null }, loader };
}

/** Damage is made good by looking at the slots themselves: it costs a second copy at worst. */
export async function loadSlotRecord(
  stateDir: string,
): Promise<{ readonly record: SlotRecord; readonly damage: readonly BilletError[] }> {
  const path = join(stateDir, FILE);
  const found = await readChecked(path, SlotRecord);
  if (found.kind === 'whole') return { record: found.value, damage: [] };
  if (found.kind === 'none') return { record: NOTHING, damage: [] };
  await setAside(path);
  return {
    record: NOTHING,
    damage: [lostBy(found.damage, 'what the boot slots hold is forgotten')],
  };
}

/** Durable when it resolves. Throws STORE_FULL, STORE_FAILED. */
export async function saveSlotRecord(stateDir: string, record: SlotRecord): Promise<void> {
  await writeChecked(join(stateDir, FILE), record);
}
