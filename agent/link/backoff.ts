// How long to wait before the next attempt: exponential with full jitter, so that a fleet that lost
// its coordinator comes back spread out. Pure.

export interface BackoffRange {
  readonly baseMs: number;
  readonly capMs: number;
}

/** `attempt` counts from 0; `random` is 0 to 1. The result is 0 to min(capMs, baseMs * 2^attempt). */
export function backoffMs(
  attempt: number,
  random: number,
  { baseMs, capMs }: BackoffRange,
): number {
  return Math.floor(random * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)));
}
