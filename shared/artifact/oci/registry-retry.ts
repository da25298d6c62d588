// What happens between two tries: somebody is told, and time passes.

import type { Clock } from '../../clock.ts';
import { type Backoff, delayMs } from './backoff.ts';
import { gaveUp, type Transient } from './registry-error.ts';

/** A try that failed, and is not the last. */
export interface RetryNews {
  /** What was tried, and why it failed. */
  readonly message: string;
  /** From 1. */
  readonly failure: number;
  readonly attempts: number;
}

export interface RetryDeps {
  readonly clock: Clock;
  /** [0, 1), for jitter. */
  readonly random: () => number;
  readonly backoff: Backoff;
  readonly onRetry?: ((news: RetryNews) => void) | undefined;
}

interface Failure extends Pick<RetryNews, 'failure' | 'attempts'> {
  readonly error: Transient;
}

/** Waits before the next try. Throws REGISTRY_FAILED after the last one. */
export async function backOff(
  { backoff, clock, random, onRetry }: RetryDeps,
  { failure, attempts, error }: Failure,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (failure >= attempts) throw gaveUp(failure, error);
  onRetry?.({ message: error.message, failure, attempts });
  const waitMs = delayMs(backoff, failure, random, error.retryAfterMs);
  await clock.sleep(waitMs, signal ?? new AbortController().signal);
}
