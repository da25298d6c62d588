// Acts on a boot slot; never decides. Each step leaves a slot that boots, wherever it is cut off: what is
// written has its name once it is whole, and what it replaces goes last.

import type { Digest } from '#shared/digest.ts';
import type { Marker, MarkerValue } from '#shared/markers.ts';
import { inLinux, type SlotVolume } from '../drivers/slot-volume.ts';
import { type Entry, entryName, freshEntry, TRIES } from './entry-name.ts';
import type { FetchedImage } from './fetch-image.ts';
import { otherSlot, type SlotName, type SlotStep } from './plan.ts';
import { entriesIn } from './see.ts';

export interface StepDeps {
  readonly on: <T>(slot: SlotName, work: (volume: SlotVolume) => Promise<T>) => Promise<T>;
  /** As it was read. */
  readonly digestOf: (slot: SlotName) => Digest | null;
  readonly fetched: () => Promise<FetchedImage>;
  readonly mark: (stage: Marker, fields: Record<string, MarkerValue>) => void;
  /** What the slot holds from now on: the wanted image, the other slot's, or the same, which is good. */
  readonly remember: (slot: SlotName, image: 'wanted' | 'other' | 'good') => Promise<void>;
}

/** Of a FAT directory, and a cluster. */
const SLACK_BYTES = 1024 * 1024;

// No default: a new kind of step does not compile until it is handled here.
export async function runStep(step: SlotStep, deps: StepDeps): Promise<void> {
  const { slot } = step;
  switch (step.kind) {
    case 'clear':
      return await deps.on(slot, async (volume) => {
        for (const name of step.names) await volume.remove(inLinux(name));
      });
    case 'write':
      return await write(step, deps);
    case 'copy':
      return await copy(step, deps);
    case 'renumber':
      return await renamed(slot, deps, () => freshEntry(step.generation));
    case 'retire':
      return await renamed(slot, deps, (entry) => ({ ...entry, triesLeft: 0 }));
    case 'bless':
      // The name first: a record that says good of what is still counted down would be believed.
      await renamed(slot, deps, ({ generation }) => freshEntry(generation));
      await deps.remember(slot, 'good');
      return deps.mark('slot-good', { slot, tries: TRIES });
  }
}

async function write(
  { slot, generation }: Extract<SlotStep, { kind: 'write' }>,
  { on, fetched, remember, mark }: StepDeps,
): Promise<void> {
  const { uki } = await fetched();
  // Before the bytes: what is cut off is then known as not what it should be, and written again.
  await remember(slot, 'wanted');
  await on(slot, async (volume) => {
    await replace(volume, freshEntry(generation), uki.sizeBytes, (path) =>
      volume.write(path, uki.content(), uki.digest),
    );
  });
  mark('slot-written', { slot, generation, uki: uki.digest, bytes: uki.sizeBytes });
}

async function copy(
  { slot, generation }: Extract<SlotStep, { kind: 'copy' }>,
  { on, remember, mark, digestOf }: StepDeps,
): Promise<void> {
  await remember(slot, 'other');
  const written = await on(otherSlot(slot), async (from) => {
    const name = entriesIn(await from.names()).name;
    const digest = digestOf(otherSlot(slot));
    if (name === null || digest === null) return null;
    const sizeBytes = await from.sizeBytes(inLinux(name));
    return await on(slot, async (to) => {
      await replace(to, freshEntry(generation), sizeBytes, (path) =>
        to.write(path, from.read(inLinux(name)), digest),
      );
      return digest;
    });
  });
  if (written !== null) mark('slot-written', { slot, generation, uki: written, copy: true });
}

/** The older file goes when the new one is whole; before it only where both have no room. */
async function replace(
  volume: SlotVolume,
  entry: Entry,
  sizeBytes: number,
  put: (path: string) => Promise<void>,
): Promise<void> {
  const older = entriesIn(await volume.names());
  const stale = [older.name, ...older.litter].filter((name) => name !== null);
  if ((await volume.freeBytes()) < sizeBytes + SLACK_BYTES)
    for (const name of stale) await volume.remove(inLinux(name));
  const name = entryName(entry);
  await put(inLinux(name));
  for (const each of stale) if (each.toLowerCase() !== name) await volume.remove(inLinux(each));
}

async function renamed(
  slot: SlotName,
  { on }: StepDeps,
  change: (entry: Entry) => Entry,
): Promise<void> {
  await on(slot, async (volume) => {
    const { entry, name } = entriesIn(await volume.names());
    if (entry === null || name === null) return;
    const to = entryName(change(entry));
    if (name.toLowerCase() !== to) await volume.rename(inLinux(name), inLinux(to));
  });
}
