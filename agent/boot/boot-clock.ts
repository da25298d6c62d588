// The clock of a machine that has none, or one with an empty battery: set forward, never back, before
// any certificate is judged by its dates. What is right already is left to time synchronization.

import { X509Certificate } from 'node:crypto';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { SourceIdentity } from '#shared/schema/identity.ts';
import { readBundle } from '#shared/trust-bundle.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { CoordinatorTime, TimeRequest } from '../link/coordinator-time.ts';
import type { BootLog } from './boot-log.ts';

export interface BootClockPorts {
  readonly clock: Clock;
  readonly log: Pick<BootLog, 'marker' | 'failure'>;
  /** Unix milliseconds. */
  readonly setClock: (unixMs: number, signal: AbortSignal) => Promise<void>;
  /** Of the boot image; null when it does not say. */
  readonly builtAt: () => Promise<number | null>;
  /** What an earlier boot left. */
  readonly kept: () => Promise<Credentials | null>;
  readonly ask: (request: TimeRequest, signal: AbortSignal) => Promise<CoordinatorTime | null>;
}

/**
 * Before each attempt to enroll. A clock that stands before the kernel was built, or the kept
 * certificate was issued, is set to that. Where it did, or an attempt has failed, the coordinator is
 * asked, once: a clock that stands before its certificate began is set to its time. Never throws:
 * certificates are judged afterwards, and say what is wrong.
 */
export function bootClock(ports: BootClockPorts) {
  const { clock, log } = ports;
  let doubtful = false;
  let done = false;

  async function forward(to: number, by: string, signal: AbortSignal): Promise<boolean> {
    const from = clock.now();
    if (to <= from) return false;
    await ports.setClock(to, signal);
    log.marker('clock', { by, from: new Date(from).toISOString(), to: new Date(to).toISOString() });
    return true;
  }

  return async (source: SourceIdentity, signal: AbortSignal): Promise<void> => {
    try {
      const kept = await ports.kept();
      const image = await forward((await ports.builtAt()) ?? 0, 'boot-image', signal);
      const own = kept !== null && (await forward(beginOf(kept), 'certificate', signal));
      const ask = (doubtful || image || own) && !done;
      // Another attempt is another reason to ask.
      doubtful = true;
      if (!ask) return;
      const known = kept === null ? [] : readBundle(kept.ca);
      const { coordinator, ca: pin } = source;
      const time = await ports.ask({ coordinator, pin, known }, signal);
      if (time === null || clock.now() >= time.notBefore) return;
      done = await forward(time.now ?? time.notBefore, 'coordinator', signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BilletError)) throw error;
      // Nobody there to ask is what the next step finds out, and says.
      if (error.code !== 'LINK_DOWN') log.failure('clock', error);
    }
  };
}

const beginOf = ({ certificate }: Credentials): number =>
  new X509Certificate(certificate).validFromDate.getTime();
