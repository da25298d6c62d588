// Attempts at a root until one works, with growing pauses. What an attempt does stands in attempt.ts,
// whose turn it is in policy.ts.

import { BilletError } from '#shared/errors.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import { readEnvelope } from '../link/desired.ts';
import { type AttemptRequest, attemptBoot, type Booted } from './attempt.ts';
import { desiredDocument } from './desired-document.ts';
import { yieldsToGood } from './policy.ts';
import type { BootPorts, Uplink } from './ports.ts';
import { pause, untilDone, withDeadline } from './stage.ts';

const DEADLINE_MS = { desired: 60_000, system: 15 * 60_000 } as const;

export interface Reached {
  readonly booted: Booted;
  /** It was not the coordinator who said what to boot, but an earlier boot's memory. */
  readonly offline: boolean;
  /** Why this is the last good generation, and not the wanted one; null where nothing was in its way. */
  readonly passedOver: Condition | null;
}

interface Failures {
  /** Of one desired state; another one has its own count. */
  readonly payload: string;
  readonly count: number;
  readonly error: unknown;
}

/** Desired state is asked for again before each attempt: it may be what has to change. */
export async function untilBooted(
  ports: BootPorts,
  uplink: Uplink | null,
  shared: Omit<AttemptRequest, 'document' | 'uplink' | 'yields'>,
  signal: AbortSignal,
): Promise<Reached> {
  const { instance } = shared;
  let before: Failures = { payload: '', count: 0, error: null };
  for (;;) {
    const { document, offline } = await untilDone(
      ports,
      'desired',
      DEADLINE_MS.desired,
      (deadline) => desiredDocument(ports, { uplink, instance }, deadline),
      signal,
    );
    const { payload } = document.reply.envelope;
    if (payload !== before.payload) before = { payload, count: 0, error: null };
    const yields = yieldsToGood(before.count);
    const request = { ...shared, document, uplink: offline ? null : uplink, yields };
    const work = (deadline: AbortSignal) => attemptBoot(ports, request, deadline);
    try {
      const booted = await withDeadline(ports.clock, 'mounted', DEADLINE_MS.system, work, signal);
      const wanted = readEnvelope(document.reply.envelope, instance).generation;
      const passed = yields && booted.desired.generation !== wanted;
      return { booted, offline, passedOver: passed ? notBooted(wanted, before) : null };
    } catch (error) {
      signal.throwIfAborted();
      ports.log.failure('mounted', error);
      await pause(ports, 'mounted', before.count, signal);
      before = { payload, count: before.count + 1, error };
    }
  }
}

function notBooted(generation: number, { count, error }: Failures): Condition {
  const [code, text] =
    error instanceof BilletError ? [error.code, error.message] : ['INTERNAL', String(error)];
  return {
    code: 'WANTED_NOT_BOOTED',
    text: `generation ${generation} failed ${count} times in this boot: ${code}: ${text}`.slice(
      0,
      1024,
    ),
    hint: 'it is not rejected: once it can be had it is staged, and the next boot takes it up',
  };
}
