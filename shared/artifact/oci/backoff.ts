// How long to wait before trying again: exponential, with full jitter. Pure; sleeps for nobody.

export interface Backoff {
  /** Tries in all before giving up. */
  readonly attempts: number;
  readonly baseMs: number;
  readonly capMs: number;
}

export const REGISTRY_BACKOFF: Backoff = { attempts: 6, baseMs: 250, capMs: 15_000 };

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
