// What the coordinator does by time, in the background. What cannot be undone waits until the clock
// has been steady for so long that a wrong one would have been seen.

import type { Clock } from '#shared/clock.ts';
import { followRollouts } from './catalog/rollouts.ts';
import { clockWatch } from './clock-watch.ts';
import type { Config } from './config.ts';
import type { Log } from './log.ts';
import { type SweepDeps, sweepDeadlines, sweepEvery, sweepRecords } from './nodes/sweep.ts';
import { startSensors } from './signals/open.ts';
import type { SensorDeps } from './signals/sweep.ts';

const DEADLINES_EVERY_MS = 15_000;
const RECORDS_EVERY_MS = 10 * 60_000;
const CERTIFICATE_EVERY_MS = 60_000;

/** After a start or a jump: the longest lease, so that every holder can report or renew first. */
export const DEADLINES_STEADY_MS = 10 * 60_000;
/** Deleted records do not come back; a revocation among them would let its certificate in again. */
export const RECORDS_STEADY_MS = 24 * 3_600_000;

export function startSweeps(
  deps: SweepDeps & {
    readonly clock: Clock;
    readonly log: Log;
    readonly removeAbandonedUploads: () => Promise<unknown>;
    readonly keepCertificateFresh: () => Promise<void>;
    readonly config: Pick<Config, 'name' | 'signals'>;
    /** When each instance was last seen, by any coordinator. */
    readonly seen: SensorDeps['lastSeen'];
  },
  signal: AbortSignal,
): readonly Promise<void>[] {
  const { clock, log, config, seen: lastSeen, records } = deps;
  const watch = clockWatch({ clock, log });
  const every = (everyMs: number, work: () => Promise<void>) =>
    sweepEvery({ everyMs, clock, log }, signal, work);
  return [
    followRollouts(deps, signal),
    every(DEADLINES_EVERY_MS, async () => {
      if (watch.steadyMs() >= DEADLINES_STEADY_MS) await sweepDeadlines(deps);
    }),
    every(RECORDS_EVERY_MS, async () => {
      if (watch.steadyMs() >= RECORDS_STEADY_MS) await sweepRecords(deps);
      await deps.removeAbandonedUploads();
    }),
    every(CERTIFICATE_EVERY_MS, deps.keepCertificateFresh),
    startSensors(
      { records, clock, log, config: config.signals, holder: config.name, lastSeen },
      signal,
    ),
  ];
}
