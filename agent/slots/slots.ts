// The two boot slots of the disk that this machine was started from: looked at, and brought to what is
// wanted. What to do is decided in plan.ts; files are moved in drivers/slot-volume.ts.

import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Marker, MarkerValue } from '#shared/markers.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { Mounts } from '../drivers/mounts.ts';
import { type SlotVolume, type VolumeDeps, withSlotVolume } from '../drivers/slot-volume.ts';
import { runStep } from './apply.ts';
import type { BootSlot } from './boot-slot.ts';
import { type FetchDeps, type FetchedImage, fetchImage } from './fetch-image.ts';
import { loaderDamage, mendLoader } from './loader-files.ts';
import { hasFailed, otherSlot, planSlots, type SlotName } from './plan.ts';
import { seeSlot } from './see.ts';
import { loadSlotRecord, type SlotImage, type SlotRecord, saveSlotRecord } from './slot-record.ts';
import { imageOf, mendsLoader, type SlotsState, type WantedSlots } from './work.ts';

export interface SlotsDeps {
  readonly mounts: Mounts;
  /** For mounts of the slots' own, on tmpfs. */
  readonly dir: string;
  readonly fileSystem?: VolumeDeps['fileSystem'];
  readonly stateDir: string;
  readonly boot: Pick<BootSlot, 'slot' | 'devices'>;
  readonly fetch: FetchDeps;
  readonly mark: (stage: Marker, fields: Record<string, MarkerValue>) => void;
}

export interface Slots {
  /** Bytes are read once in the life of this object, and again after each change. */
  observe(image: BootImage | null): Promise<SlotsState>;
  /**
   * Safe to cut off at any point, and to run again. Throws what verification, network and disk throw:
   * what boots is then as it was, or better. BOOT_SLOT_FAILED for what was started in vain.
   */
  apply(wanted: WantedSlots, signal: AbortSignal): Promise<void>;
}

const NAMES = ['a', 'b'] as const;

export function openSlots(deps: SlotsDeps): Slots {
  const { mounts, dir, fileSystem, stateDir, boot } = deps;
  const seen = new Map<SlotName, Awaited<ReturnType<typeof seeSlot>>>();
  let loaders: readonly (Digest | null)[] | null = null;
  const on = <T>(slot: SlotName, work: (volume: SlotVolume) => Promise<T>) =>
    withSlotVolume(
      { mounts, dir: `${dir}/${slot}`, ...(fileSystem && { fileSystem }) },
      boot.devices[slot],
      work,
    );

  async function look(): Promise<void> {
    for (const slot of NAMES)
      if (!seen.has(slot) || (slot === 'a' && loaders === null))
        await on(slot, async (volume) => {
          seen.set(slot, await seeSlot(volume));
          if (slot === 'a') loaders = await loaderDamage.measure(volume);
        });
  }

  /** What nobody wrote down, but is what is wanted by its digest: an installation leaves it so. */
  async function recordOf(image: BootImage | null): Promise<SlotRecord> {
    const { record } = await loadSlotRecord(stateDir);
    if (image === null) return record;
    let next = record;
    for (const slot of NAMES)
      if (record[slot] === null && seen.get(slot)?.digest === image.uki)
        next = { ...next, [slot]: slotImage(image, null) };
    if (record.loader === null && loaders?.every((each) => each === image.loader))
      next = { ...next, loader: image.loader };
    if (next !== record) await saveSlotRecord(stateDir, next);
    return next;
  }

  async function observe(image: BootImage | null): Promise<SlotsState> {
    await look();
    const record = await recordOf(image);
    const slot = (name: SlotName) => {
      const { entry = null, digest = null, litter = [] } = seen.get(name) ?? {};
      const known: SlotImage | null = record[name];
      const intact = known !== null && entry !== null && digest === known.uki;
      const { manifest = null, good = false } = known ?? {};
      return { entry, manifest, good, intact, litter };
    };
    const slots = { a: slot('a'), b: slot('b') };
    return {
      running: boot.slot,
      release: record[boot.slot]?.release ?? null,
      slots,
      corrupt: NAMES.filter((name) => slots[name].manifest !== null && !slots[name].intact),
      loader: loaderDamage.judge(loaders ?? [], record.loader, image?.loader ?? null),
    };
  }

  async function apply(wanted: WantedSlots, signal: AbortSignal): Promise<void> {
    const state = await observe(wanted.image);
    if (hasFailed(state, imageOf(wanted))) throw failed(wanted);
    const fetched = once(() => {
      if (wanted.image === null) throw new TypeError('no boot image is wanted');
      return fetchImage(wanted.image, deps.fetch, signal);
    });
    for (const step of planSlots(state, imageOf(wanted))) {
      signal.throwIfAborted();
      const before = seen.get(step.slot) ?? null;
      seen.delete(step.slot);
      await runStep(step, {
        ...{ on, fetched, mark: deps.mark },
        digestOf: (slot) => seen.get(slot)?.digest ?? null,
        remember: (slot, what) => remember(slot, what, wanted, fetched),
      });
      // A new name is no new content.
      if (before !== null && step.kind !== 'write' && step.kind !== 'copy')
        seen.set(step.slot, await on(step.slot, (volume) => seeSlot(volume, before.digest)));
    }
    // The loader last: both slots are then in order, and it is the one file that there is no second of.
    if (!mendsLoader(state, wanted)) return;
    loaders = null;
    const { record } = await loadSlotRecord(stateDir);
    const digest = await on('a', (volume) =>
      mendLoader(volume, {
        recorded: record.loader,
        wanted: wanted.image?.loader ?? null,
        fetched,
      }),
    );
    await saveSlotRecord(stateDir, { ...record, loader: digest });
  }

  async function remember(
    slot: SlotName,
    what: 'wanted' | 'other' | 'good',
    { image }: WantedSlots,
    fetched: () => Promise<FetchedImage>,
  ): Promise<void> {
    const { record } = await loadSlotRecord(stateDir);
    const same = record[slot];
    const next = {
      good: () => same && { ...same, good: true },
      other: () => record[otherSlot(slot)],
      wanted: async () => image && slotImage(image, (await fetched()).release),
    };
    await saveSlotRecord(stateDir, { ...record, [slot]: await next[what]() });
  }

  return { observe, apply };
}

const slotImage = (
  { manifest, uki, kernelRelease }: BootImage,
  release: SlotImage['release'],
): SlotImage | null =>
  uki === null ? null : { manifest, uki, kernelRelease, good: false, release };

const failed = ({ generation, image }: WantedSlots): BilletError =>
  new BilletError(
    'BOOT_SLOT_FAILED',
    `the boot image ${image?.manifest} of generation ${generation} did not come up from its slot`,
    { hint: 'look at the console of those boots; publish a boot image that comes up' },
  );

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  return () => {
    running ??= work();
    return running;
  };
}
