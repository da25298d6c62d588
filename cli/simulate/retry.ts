// Tries again what may work later, with growing pauses, as an agent does. Knows nothing of what it is.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';

const TRIES = 6;
const BASE_MS = 250;

export interface Retry {
  readonly clock: Clock;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
  readonly onRetry: () => void;
}

/** The last error when none of the tries works, and at once what no other try would mend. */
export async function retried<T>(
  { clock, random, onRetry }: Retry,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1)
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const isWorthIt = error instanceof BilletError && error.retryable;
      if (!isWorthIt || tries === TRIES) throw error;
      onRetry();
      await clock.sleep(BASE_MS * 2 ** tries * random(), signal);
    }
}
