// One stage of a boot: tried with a deadline until it works. A failure is shown and waited out; it
// never ends in a dead machine.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Marker } from '#shared/markers.ts';
import { backoffMs } from '../link/backoff.ts';
import type { BootLog } from './boot-log.ts';

export interface StageDeps {
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  readonly log: BootLog;
}

const RETRY = { baseMs: 2000, capMs: 60_000 };
/** So that a person can read the console between two attempts. */
const PAUSE_MIN_MS = 1000;

/** The result of `work`, however often it takes. Rejects only when `signal` aborts. */
export async function untilDone<T>(
  deps: StageDeps,
  stage: Marker,
  deadlineMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1)
    try {
      return await withDeadline(deps.clock, stage, deadlineMs, work, signal);
    } catch (error) {
      signal.throwIfAborted();
      deps.log.failure(stage, error);
      await pause(deps, stage, attempt, signal);
    }
}

/** Says that, and when, a stage is tried again, and waits for it. */
export async function pause(
  { clock, random, log }: StageDeps,
  stage: Marker,
  attempt: number,
  signal: AbortSignal,
): Promise<void> {
  const waitMs = PAUSE_MIN_MS + backoffMs(attempt, random(), RETRY);
  log.marker('retry', { stage, attempt: attempt + 1, waitSeconds: Math.round(waitMs / 100) / 10 });
  await clock.sleep(waitMs, signal);
}

/** Aborts `work` and throws TIMEOUT when it takes longer. */
export async function withDeadline<T>(
  clock: Clock,
  stage: Marker,
  deadlineMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const late = new AbortController();
  const done = new AbortController();
  const timer = clock.sleep(deadlineMs, AbortSignal.any([signal, done.signal])).then(
    () =>
      late.abort(
        new BilletError('TIMEOUT', `${stage} took longer than ${deadlineMs / 1000} s`, {
          hint: 'look at the network and at the coordinator; it is tried again',
        }),
      ),
    () => undefined,
  );
  try {
    const both = AbortSignal.any([signal, late.signal]);
    return await work(both);
  } finally {
    done.abort();
    await timer;
  }
}
