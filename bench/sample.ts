// Repeating and timing. Keeps no result of its own.

import type { Clock } from '#shared/clock.ts';

/** Of an odd or even number of values; at least one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = low] = sorted.slice(Math.ceil(sorted.length / 2) - 1, middle + 1);
  return (low + high) / 2;
}

/** Milliseconds that `work` takes. */
export async function timed(clock: Clock, work: () => unknown): Promise<number> {
  const start = clock.monotonic();
  await work();
  return clock.monotonic() - start;
}

export interface Work {
  run(round: number): unknown;
  /** Puts away what a round left; not timed. */
  after?(round: number): unknown;
}

/**
 * Runs each of the works in turn, `rounds` times: what slows the machine down for a while slows all
 * of them. Milliseconds of each, in the order of the works.
 */
export async function alternating(
  clock: Clock,
  signal: AbortSignal,
  rounds: number,
  works: readonly Work[],
): Promise<readonly (readonly number[])[]> {
  const times = works.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1)
    for (const [index, work] of works.entries()) {
      signal.throwIfAborted();
      times[index]?.push(await timed(clock, () => work.run(round)));
      await work.after?.(round);
    }
  return times;
}

/** 10^6 bytes in a second. */
export const megabytesPerSecond = (bytes: number, ms: number): number => bytes / 1000 / ms;
