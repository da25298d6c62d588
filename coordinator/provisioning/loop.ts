// Drives every machine of every provider, in one coordinator at a time: whoever leads. Holds nothing
// that a restart would miss.

import type { Clock } from '#shared/clock.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { type Leadership, type Leading, leadership } from '../store/leadership.ts';
import { type DriveDeps, drive } from './drive.ts';
import { type LossDeps, lossWatch } from './lost/watch.ts';
import { isMoving, LOOK_EVERY_MS } from './plan.ts';
import { poolFiller } from './warm/fill.ts';

const POLL_MS = 2_000;
const TERM_MS = 15_000;
/** Machines that are worked on at once. */
const AT_ONCE = 8;

export interface Provisioner {
  /** Something is to be done now. */
  wake(): void;
  /** One pass over everything; resolves when nothing that it began is under way. */
  pass(signal: AbortSignal): Promise<void>;
  /** Passes until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export interface ProvisionerOptions extends DriveDeps {
  /** When each instance was last seen, by any coordinator. */
  readonly seen: LossDeps['seen'];
  /** This coordinator's name. */
  readonly holder: string;
}

export function provisioner(options: ProvisionerOptions): Provisioner {
  const { records, clock, log, holder } = options;
  const lead = leadership({
    ...{ store: records.store, clock, holder },
    ...{ name: 'provisioning', ttlMs: TERM_MS },
  });
  const losses = lossWatch(options);
  const fillPools = poolFiller(options);
  const busy = new Map<InstanceId, Promise<void>>();
  /** When what should simply run was last looked at, by the monotonic clock. */
  const looked = new Map<InstanceId, number>();
  let alarm = new AbortController();

  async function isDue(id: InstanceId): Promise<boolean> {
    const found = await records.instances.get(id);
    if (!found) return false;
    const now = clock.monotonic();
    const due = isMoving(found.record) || (looked.get(id) ?? -Infinity) + LOOK_EVERY_MS <= now;
    if (due) looked.set(id, now);
    return due;
  }

  function start(id: InstanceId, term: Leading, signal: AbortSignal): void {
    const work = drive(options, id, { lead: term.condition, signal })
      .catch((error) => {
        if (!signal.aborted) log.warn('provisioning waits', { instance: id, why: String(error) });
      })
      .finally(() => busy.delete(id));
    busy.set(id, work);
  }

  /** Begins what is due; what is under way from before goes on. */
  async function begin(signal: AbortSignal): Promise<void> {
    const term = await campaign(lead, signal);
    if (term === null) return;
    await losses(term, signal);
    await fillPools(term.condition, signal);
    const known = new Set<InstanceId>();
    for await (const { record } of records.operations.all()) {
      known.add(record.instance);
      if (signal.aborted || busy.has(record.instance)) continue;
      if (!(await isDue(record.instance))) continue;
      while (busy.size >= AT_ONCE) await Promise.race(busy.values());
      start(record.instance, term, signal);
    }
    for (const id of looked.keys()) if (!known.has(id)) looked.delete(id);
  }

  return {
    wake: () => alarm.abort(),

    async pass(signal) {
      await begin(signal);
      await Promise.all(busy.values());
    },

    async run(signal) {
      while (!signal.aborted) {
        alarm = new AbortController();
        await begin(signal).catch((error) => {
          if (!signal.aborted) log.warn('provisioning waits', { why: String(error) });
        });
        await pause(clock, AbortSignal.any([signal, alarm.signal]));
      }
      await Promise.all(busy.values());
      await lead.release().catch((error) => log.warn('no release', { why: String(error) }));
    },
  };
}

const pause = (clock: Clock, until: AbortSignal) =>
  clock.sleep(POLL_MS, until).catch(() => undefined);

const campaign = async (lead: Leadership, signal: AbortSignal): Promise<Leading | null> =>
  signal.aborted ? null : await lead.campaign();
