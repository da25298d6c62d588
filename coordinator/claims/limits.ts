// How fast claims may be asked for, and wrong codes be tried. In memory: what has to hold over a
// restart, the number of claims, is in the store.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Settings } from './registered/observe.ts';
import { type Bucket, LOOK_AGAIN_MS, RATES, type Rate, refill, waitSeconds } from './rules.ts';

export interface ClaimLimits extends Settings {
  /**
   * Counts one claim. TOO_MANY_REQUESTS over the limit of the address, or of all; where the machine is
   * expected, only over the limit of those.
   */
  admitFrom(address: string, isExpected: boolean): void;
  /** Whether the claim may be compared with the nodes again now. */
  mayLook(code: string): boolean;
  /** It was; not again for a while. */
  looked(code: string): void;
  /**
   * Runs `find`, and counts it against `who` when there is no such claim. TOO_MANY_REQUESTS before
   * anything is looked up, right or wrong, once there were too many.
   */
  guardCode<T>(who: string, find: () => Promise<T>): Promise<T>;
}

/** Names remembered of each kind; beyond, the one that was quiet longest is forgotten. */
const NAMES_MAX = 10_000;
const ALL = '';

export function claimLimits(clock: Clock, { autoApprove }: Settings): ClaimLimits {
  const byAddress = buckets(clock, RATES.address);
  const overall = buckets(clock, RATES.all);
  const codes = buckets(clock, RATES.codes);
  const registered = buckets(clock, RATES.registered);
  const looks = buckets(clock, { burst: 1, intervalMs: LOOK_AGAIN_MS });
  return {
    autoApprove,
    admitFrom(address, isExpected) {
      if (isExpected) {
        registered.assert(ALL, 'claims');
        registered.take(ALL);
        return;
      }
      // Both are looked at before either counts: one address cannot use up what is for all.
      byAddress.assert(address, `claims from ${address}`);
      overall.assert(ALL, 'claims');
      byAddress.take(address);
      overall.take(ALL);
    },
    mayLook: looks.has,
    looked: looks.take,
    async guardCode(who, find) {
      codes.assert(who, 'wrong codes');
      try {
        return await find();
      } catch (error) {
        if (error instanceof BilletError && error.code === 'CLAIM_UNKNOWN') codes.take(who);
        throw error;
      }
    },
  };
}

function buckets(clock: Clock, rate: Rate) {
  const known = new Map<string, Bucket>();
  const now = (name: string) => refill(known.get(name), rate, clock.monotonic());
  return {
    has: (name: string): boolean => now(name).tokens >= 1,
    assert(name: string, what: string): void {
      const bucket = now(name);
      if (bucket.tokens >= 1) return;
      throw new BilletError('TOO_MANY_REQUESTS', `too many ${what}`, {
        hint: 'wait, then try again; `billet claim list` shows what waits',
        details: { retryAfterSeconds: waitSeconds(bucket, rate) },
      });
    },
    take(name: string): void {
      const bucket = now(name);
      // The newest last, so that the first is the one that was quiet longest.
      known.delete(name);
      known.set(name, { ...bucket, tokens: Math.max(0, bucket.tokens - 1) });
      const [oldest] = known.keys();
      if (known.size > NAMES_MAX && oldest !== undefined) known.delete(oldest);
    },
  };
}
