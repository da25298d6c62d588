// How long to wait before trying again: exponential, with full jitter. Pure; sleeps for nobody.

export interface Backoff {
  /** Tries in all before giving up. */
  readonly attempts: number;
  /** The same for the rest of a blob whose beginning is here; `attempts` without it. */
  readonly attemptsForRest?: number;
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * A few seconds for an answer. Half a minute for the rest of a blob: a registry that starts again takes
 * seconds, and what has come of a layer counts only as long as the transfer goes on.
 */
export const REGISTRY_BACKOFF: Backoff = {
  attempts: 6,
  attemptsForRest: 9,
  baseMs: 250,
  capMs: 15_000,
};

/**
 * The wait after failure number `failure` (from 1), between 0 and the exponential step, so that many
 * nodes do not come back together. `random` gives [0, 1). A server's Retry-After is the least.
 */
export function delayMs(
  { baseMs, capMs }: Backoff,
  failure: number,
  random: () => number,
  retryAfterMs = 0,
): number {
  const step = Math.min(capMs, baseMs * 2 ** (failure - 1));
  return Math.min(capMs, retryAfterMs) + random() * step;
}
