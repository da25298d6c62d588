// Limits how often one address may fail to prove who it is. What is valid always passes, so that a
// thousand nodes behind one address enroll at once, even beside one that keeps on failing.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';

export interface FailureLimit {
  /** Runs `prove`; when it fails too often from `address`, the failure is TOO_MANY_REQUESTS. */
  guard<T>(address: string, prove: () => Promise<T>): Promise<T>;
}

/** Tokens of a bucket (RFC 2697 §1 in spirit): so many at once, and one more each interval. */
const BURST = 20;
const INTERVAL_MS = 3_000;
/** Addresses remembered; beyond, the one that failed longest ago is forgotten. */
const ADDRESSES_MAX = 10_000;

export function failureLimit(clock: Clock): FailureLimit {
  const buckets = new Map<string, { tokens: number; at: number }>();

  function take(address: string): boolean {
    const now = clock.monotonic();
    const last = buckets.get(address) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, last.tokens + (now - last.at) / INTERVAL_MS);
    buckets.delete(address);
    buckets.set(address, { tokens: Math.max(0, tokens - 1), at: now });
    const [oldest] = buckets.keys();
    if (buckets.size > ADDRESSES_MAX && oldest !== undefined) buckets.delete(oldest);
    return tokens >= 1;
  }

  return {
    async guard(address, prove) {
      try {
        return await prove();
      } catch (error) {
        const isRefusal = error instanceof BilletError && error.status < 500;
        if (!isRefusal || take(address)) throw error;
        throw new BilletError('TOO_MANY_REQUESTS', `too many failures from ${address}`, {
          hint: 'look at what keeps failing there; what is valid is not limited',
          details: { retryAfterSeconds: Math.ceil(INTERVAL_MS / 1000) },
          cause: error,
        });
      }
    },
  };
}
