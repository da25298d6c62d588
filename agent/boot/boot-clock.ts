// The clock of a machine that has none, or one with an empty battery: set forward before any certificate is
// judged by its dates, and back only from where a time server has put it. What is right already is left to
// time synchronization.

import { X509Certificate } from 'node:crypto';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { SourceIdentity } from '#shared/schema/identity.ts';
import { readBundle } from '#shared/trust-bundle.ts';
import type { NtpTime } from '../drivers/network-time.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { CoordinatorTime, TimeRequest } from '../link/coordinator-time.ts';
import type { BootLog } from './boot-log.ts';
import { judgeNtp, takenBack } from './network/time-rules.ts';

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
  /**
   * The time of the first server that `refuses` gives no reason against; null when the network has no time
   * servers. NTP_FAILED.
   */
  readonly ntp: (
    refuses: (unixMs: number) => string | null,
    signal: AbortSignal,
  ) => Promise<NtpTime | null>;
}

/**
 * Before each attempt to enroll. A clock that stands before the kernel was built, or the kept
 * certificate was issued, is set to that; then time servers are asked, until one answers (how far they are
 * believed: time-rules.ts). Where any of it moved the clock, or an attempt has failed, the coordinator is
 * asked: a clock that stands before its certificate began is set to its time, and one that NTP set to
 * another time goes back to it. Never throws: certificates are judged afterwards, and say what is wrong.
 */
export function bootClock(ports: BootClockPorts) {
  const { clock, log } = ports;
  let doubtful = false;
  let done = false;
  let ntpDone = false;
  /** By how much time servers have set it forward. */
  let shiftMs = 0;

  async function set(to: number, who: Who, signal: AbortSignal): Promise<void> {
    const from = clock.now();
    await ports.setClock(to, signal);
    const times = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    log.marker('clock', { ...who, ...times });
  }

  async function forward(to: number, by: string, signal: AbortSignal): Promise<boolean> {
    if (to <= clock.now()) return false;
    await set(to, { by }, signal);
    return true;
  }

  /** What stands in the way of time servers is shown, and stops nothing. */
  async function byNtp(floorMs: number, signal: AbortSignal): Promise<boolean> {
    const judge = (unixMs: number) => judgeNtp({ unixMs, clockMs: clock.now(), floorMs });
    const refuses = (unixMs: number) => {
      const verdict = judge(unixMs);
      return verdict.kind === 'refused' ? verdict.why : null;
    };
    try {
      const time = ntpDone ? null : await ports.ntp(refuses, signal);
      if (time === null) return false;
      ntpDone = true;
      if (judge(time.unixMs).kind !== 'forward') return false;
      shiftMs = time.unixMs - clock.now();
      await set(time.unixMs, { by: 'ntp', server: time.server }, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      log.failure('clock', error);
      return false;
    }
  }

  return async (source: SourceIdentity, signal: AbortSignal): Promise<void> => {
    try {
      const kept = await ports.kept();
      const built = (await ports.builtAt()) ?? 0;
      const begin = kept === null ? 0 : beginOf(kept);
      const image = await forward(built, 'boot-image', signal);
      const own = await forward(begin, 'certificate', signal);
      const ntp = await byNtp(Math.max(built, begin), signal);
      const ask = (doubtful || image || own || ntp) && !done;
      // Another attempt is another reason to ask.
      doubtful = true;
      if (!ask) return;
      const known = kept === null ? [] : readBundle(kept.ca);
      const { coordinator, ca: pin } = source;
      const time = await ports.ask({ coordinator, pin, known }, signal);
      if (time === null) return;
      if (clock.now() < time.notBefore)
        done = await forward(time.now ?? time.notBefore, 'coordinator', signal);
      else if (time.now !== null) {
        const to = takenBack({ clockMs: clock.now(), coordinatorMs: time.now, shiftMs });
        if (to !== null) await set(to, { by: 'coordinator' }, signal);
        done = shiftMs > 0;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof BilletError)) throw error;
      // Nobody there to ask is what the next step finds out, and says.
      if (error.code !== 'LINK_DOWN') log.failure('clock', error);
    }
  };
}

interface Who {
  readonly by: string;
  readonly server?: string;
}

const beginOf = ({ certificate }: Credentials): number =>
  new X509Certificate(certificate).validFromDate.getTime();
