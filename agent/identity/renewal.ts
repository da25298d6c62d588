// When to renew the certificate, and the loop that does: at two thirds of its life, with jitter, and
// again with backoff until it works. An expired certificate is renewed too; the coordinator decides.

import { X509Certificate } from 'node:crypto';
import { renewAt } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { backoffMs } from '../link/backoff.ts';
import type { Credentials } from './credentials.ts';

/** Spread over a twentieth of the life, so that a fleet that enrolled together renews apart. */
const JITTER = 1 / 20;
/** The wall clock may jump, so nothing sleeps longer than this. */
const SLEEP_MAX_MS = 3_600_000;
const RETRY = { baseMs: 30_000, capMs: 3_600_000 };

/** Unix milliseconds at which a certificate is due. `spread` is 0 to 1. */
function renewalDueAt(certificatePem: string, spread: number): number {
  const { validFromDate, validToDate } = new X509Certificate(certificatePem);
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()];
  return renewAt(from, to) + Math.floor((to - from) * JITTER * spread);
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

/** Runs until `signal` aborts, and then rejects with its reason. */
export async function keepRenewed(deps: RenewalDeps, signal: AbortSignal): Promise<never> {
  for (;;) {
    const dueAt = renewalDueAt(deps.current().certificate, deps.random());
    while (deps.clock.now() < dueAt)
      await deps.clock.sleep(Math.min(dueAt - deps.clock.now(), SLEEP_MAX_MS), signal);
    await renewUntilDone(deps, signal);
    // Where the clocks are far apart the new one looks due at once: never in a hot loop.
    await deps.clock.sleep(SLEEP_MAX_MS, signal);
  }
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
