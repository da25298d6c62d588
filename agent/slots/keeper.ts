// The boot slots of a running machine, for its reconcile loop: read in the background, brought to what is
// wanted when the loop says so. What goes wrong is a condition, and no failure of the generation that runs.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { SlotImage } from './slot-record.ts';
import type { Slots } from './slots.ts';
import type { SlotsState, WantedSlots } from './work.ts';

export interface ObservedSlots {
  /** Null: they are being read, or cannot be. */
  readonly state: SlotsState | null;
  /** Something failed a short while ago. */
  readonly resting: boolean;
}

export interface SlotKeeper {
  /** Returns at once: reading some hundred megabytes holds nothing up. */
  observe(image: BootImage | null): ObservedSlots;
  /**
   * Writes, blesses and mends. What goes wrong is a condition, and is tried again in a minute: the
   * generation that runs is none the worse for it.
   */
  keep(wanted: WantedSlots, signal: AbortSignal): Promise<void>;
  /** What the boot image that runs is called, where that is known. */
  release(): SlotImage['release'];
  conditions(): readonly Condition[];
}

export interface KeeperDeps {
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly slots: Slots;
}

const REST_MS = 60_000;

export function slotKeeper({ clock, slots }: KeeperDeps): SlotKeeper {
  let state: SlotsState | null = null;
  let known: string | null = null;
  let reading = false;
  let problem: BilletError | null = null;
  let restsUntil = Number.NEGATIVE_INFINITY;

  const rests = () => clock.monotonic() < restsUntil;

  function troubled(error: unknown): void {
    if (!(error instanceof BilletError)) throw error;
    problem = error;
    restsUntil = clock.monotonic() + REST_MS;
  }

  async function read(image: BootImage | null): Promise<void> {
    reading = true;
    try {
      state = await slots.observe(image);
      known = keyOf(image);
    } catch (error) {
      state = null;
      troubled(error);
    } finally {
      reading = false;
    }
  }

  return {
    observe(image) {
      const stale = known === null || known !== keyOf(image);
      if (stale && !reading && !rests()) void read(image);
      return { state: stale ? null : state, resting: rests() };
    },
    async keep(wanted, signal) {
      try {
        await slots.apply(wanted, signal);
        problem = null;
      } catch (error) {
        signal.throwIfAborted();
        troubled(error);
      }
      await read(wanted.image);
    },
    release: () => state?.release ?? null,
    conditions: () => [
      ...(state?.corrupt ?? []).map((slot) => corrupt(`boot slot ${slot} does`)),
      ...(state?.loader === 'damaged' ? [corrupt('the boot loader does')] : []),
      ...(problem === null ? [] : [unwell(problem)]),
    ],
  };
}

const keyOf = (image: BootImage | null): string => image?.manifest ?? 'any';

const corrupt = (what: string): Condition => ({
  code: 'BOOT_SLOT_CORRUPT',
  text: `${what} not hold what was written to it`,
  hint: 'it is written anew; if it comes back, the disk is failing: dmesg | tail',
});

const unwell = ({ code, message, hint }: BilletError): Condition => ({
  code: 'BOOT_SLOT_FAILED',
  text: `the boot slots cannot be kept in order: ${code}: ${message}`,
  hint,
});
