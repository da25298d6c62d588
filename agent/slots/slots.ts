// The two boot slots of the disk that this machine was started from: looked at, and brought to what is
// wanted. What to do is decided in plan.ts; files are moved in drivers/slot-volume.ts.

import type { Digest } from '#shared/digest.ts';
import type { Marker, MarkerValue } from '#shared/markers.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { Mounts } from '../drivers/mounts.ts';
import { type SlotVolume, type VolumeDeps, withSlotVolume } from '../drivers/slot-volume.ts';
import { runStep } from './apply.ts';
import type { BootSlot } from './boot-slot.ts';
import { type FetchDeps, fetchImage } from './fetch-image.ts';
import { loaderDamage, mendLoader } from './loader-files.ts';
import { planSlots, type SeenSlots, type SlotName, type SlotStep } from './plan.ts';
import { seeSlot } from './see.ts';
import { loadSlotRecord, type SlotImage, type SlotRecord, saveSlotRecord } from './slot-record.ts';

export interface WantedSlots {
  readonly generation: number;
  /** Null: any will do, and the one that runs does. */
  readonly image: BootImage | null;
  /** The generation is good, and runs with this boot image. */
  readonly good: boolean;
}

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

export interface SlotsState extends SeenSlots {
  /** Slots that do not hold what was written there. */
  readonly corrupt: readonly SlotName[];
  /** The loader does not hold what was written there, or another one is wanted. */
  readonly loader: 'intact' | 'damaged' | 'older';
}

export interface Slots {
  /** Bytes are read once in the life of this object, and again after each change. */
  observe(image: BootImage | null): Promise<SlotsState>;
  /** What `apply` would do. */
  plan(seen: SlotsState, wanted: WantedSlots): readonly SlotStep[];
  /**
   * Safe to cut off at any point, and to run again. Throws what verification, network and disk throw:
   * what boots is then as it was, or better.
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
        next = { ...next, [slot]: slotImage(image, false) };
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
      slots,
      corrupt: NAMES.filter((name) => slots[name].manifest !== null && !slots[name].intact),
      loader: loaderDamage.judge(loaders ?? [], record.loader, image?.loader ?? null),
    };
  }

  const plan = (state: SlotsState, { generation, image, good }: WantedSlots) =>
    planSlots(state, { generation, manifest: image?.manifest ?? null, good });

  async function apply(wanted: WantedSlots, signal: AbortSignal): Promise<void> {
    const state = await observe(wanted.image);
    const fetched = once(() => {
      if (wanted.image === null) throw new TypeError('no boot image is wanted');
      return fetchImage(wanted.image, deps.fetch, signal);
    });
    for (const step of plan(state, wanted)) {
      signal.throwIfAborted();
      seen.delete(step.slot);
      await runStep(step, {
        ...{ on, seen: state, fetched, mark: deps.mark },
        remember: async (slot, image) => {
          const { record } = await loadSlotRecord(stateDir);
          const held = image === 'other' ? record[slot === 'a' ? 'b' : 'a'] : null;
          const good = image === 'good' && record[slot];
          const next =
            held ??
            (good ? { ...good, good: true } : wanted.image && slotImage(wanted.image, false));
          await saveSlotRecord(stateDir, { ...record, [slot]: next });
        },
      });
    }
    // The loader last: both slots are then in order, and it is the one file that there is no second of.
    if (state.loader === 'intact' || (state.loader === 'older' && !wanted.good)) return;
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

  return { observe, plan, apply };
}

const slotImage = ({ manifest, uki, kernelRelease }: BootImage, good: boolean): SlotImage | null =>
  uki === null ? null : { manifest, uki, kernelRelease, good };

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  return () => {
    running ??= work();
    return running;
  };
}
