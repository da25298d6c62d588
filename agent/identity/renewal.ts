// When to renew the certificate, and the loop that does: at two thirds of its life, with jitter, or
// when it is demanded, and again with backoff until it works. An expired certificate is renewed too;
// the coordinator decides.

import { X509Certificate } from 'node:crypto';
import { renewAt } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { backoffMs } from '../link/backoff.ts';
import { wakeable } from '../wakeable.ts';
import type { Credentials } from './credentials.ts';

/** Spread over a twentieth of the life, so that a fleet that enrolled together renews apart. */
const JITTER = 1 / 20;
/** The wall clock may jump, so nothing sleeps longer than this. */
const SLEEP_MAX_MS = 3_600_000;
const RETRY = { baseMs: 30_000, capMs: 3_600_000 };

/** A fleet learns of a rotation within one heartbeat, and renews over this time. */
export const ROTATED_SPREAD_MS = 15 * 60_000;
/** Nothing else works until then. */
export const EXPIRED_SPREAD_MS = 60_000;

/**
 * Unix milliseconds at which a certificate is due. `spread` is 0 to 1. One that begins later than now
 * was made by a clock that was ahead, and would outlive its time by as much: it is due at once.
 */
function renewalDueAt(certificatePem: string, spread: number, now: number): number {
  const { validFromDate, validToDate } = new X509Certificate(certificatePem);
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
  return from > now ? now : renewAt(from, to) + Math.floor((to - from) * JITTER * spread);
}

export interface RenewalDeps {
  readonly clock: Clock;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
  readonly current: () => Credentials;
  /** Renews, stores and takes into use. */
  readonly renew: (signal: AbortSignal) => Promise<Credentials>;
  readonly onFailure: (error: unknown, retryMs: number) => void;
}

export interface Renewal {
  /** Before its time, and somewhere within `spreadMs`. However often, it is one renewal an hour. */
  demand(spreadMs: number): void;
  /** Runs until `signal` aborts, and then rejects with its reason. */
  run(signal: AbortSignal): Promise<never>;
}

export function renewal(deps: RenewalDeps): Renewal {
  const { clock, random } = deps;
  const wait = wakeable(clock);
  let demanded: number | null = null;

  async function untilDue(signal: AbortSignal): Promise<void> {
    const spread = random();
    const dueIn = () => renewalDueAt(deps.current().certificate, spread, clock.now()) - clock.now();
    while (demanded === null && dueIn() > 0)
      await wait.sleep(Math.min(dueIn(), SLEEP_MAX_MS), signal);
    if (demanded !== null) await clock.sleep(Math.floor(demanded * random()), signal);
  }

  return {
    demand(spreadMs) {
      if (demanded !== null) return;
      demanded = spreadMs;
      wait.wake();
    },

    async run(signal) {
      for (;;) {
        await untilDue(signal);
        await renewUntilDone(deps, signal);
        demanded = null;
        // Where the clocks are far apart the new one looks due at once: never in a hot loop.
        await clock.sleep(SLEEP_MAX_MS, signal);
      }
    },
  };
}

async function renewUntilDone(deps: RenewalDeps, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; ; attempt++)
    try {
      await deps.renew(signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      const retryMs = RETRY.baseMs + backoffMs(attempt, deps.random(), RETRY);
      deps.onFailure(error, retryMs);
      await deps.clock.sleep(retryMs, signal);
    }
}
