// Attempts at a root until one works, with growing pauses; before them the installation, where one is
// ordered. What an attempt does stands in attempt.ts, whose turn it is in policy.ts.

import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import type { InstalledDisk } from '../install/ports.ts';
import { readEnvelope } from '../link/desired.ts';
import { slotWork } from '../slots/work.ts';
import { type AttemptRequest, attemptBoot, type Booted } from './attempt.ts';
import { loadBootRecord } from './boot-record.ts';
import { desiredDocument } from './desired-document.ts';
import { type InstallStage, installFirst, restartFromDisk, restartNow } from './install-stage.ts';
import { yieldsToGood } from './policy.ts';
import type { BootPorts, Uplink } from './ports.ts';
import { pause, untilDone, withDeadline } from './stage.ts';
import type { BootStorage } from './storage.ts';

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
  shared: Omit<
    AttemptRequest,
    'document' | 'uplink' | 'yields' | 'slots' | 'store' | 'onChoice'
  > & {
    readonly storage: BootStorage;
  },
  signal: AbortSignal,
): Promise<Reached> {
  const { instance, storage } = shared;
  let before: Failures = { payload: '', count: 0, error: null };
  let waits = 0;
  for (;;) {
    const { document, offline } = await untilDone(
      ports,
      'desired',
      DEADLINE_MS.desired,
      (deadline) => desiredDocument(ports, { uplink, instance }, deadline),
      signal,
    );
    const { payload } = document.reply.envelope;
    if (payload !== before.payload) {
      before = { payload, count: 0, error: null };
      waits = 0;
    }
    const desired = readEnvelope(document.reply.envelope, instance);
    const reachable = offline ? null : uplink;
    const stage = { ...shared, desired, uplink: reachable };
    const installed = await installFirst(ports, stage, signal);
    if (installed.next === 'again') {
      await pause(ports, 'install-plan', waits, signal);
      waits += 1;
      continue;
    }
    const yields = yieldsToGood(before.count);
    const { store, slots } = storage;
    let tried = desired;
    const onChoice = (chosen: Desired): void => {
      tried = chosen;
    };
    const request = { ...shared, store, slots, document, uplink: reachable, yields, onChoice };
    const work = (deadline: AbortSignal) => attemptBoot(ports, request, deadline);
    try {
      const booted = await withDeadline(ports.clock, 'mounted', DEADLINE_MS.system, work, signal);
      const wanted = desired.generation;
      const passed = yields && booted.desired.generation !== wanted;
      return { booted, offline, passedOver: passed ? notBooted(wanted, before) : null };
    } catch (error) {
      signal.throwIfAborted();
      ports.log.failure('mounted', error);
      const other = { ...stage, desired: tried };
      if (isOfKernel(error)) await otherKernel(ports, other, installed.on, signal);
      await pause(ports, 'mounted', before.count, signal);
      before = { payload, count: before.count + 1, error };
    }
  }
}

const isOfKernel = (error: unknown): boolean =>
  error instanceof BilletError && error.code === 'KERNEL_MISMATCH';

/**
 * The kernel that runs is not that of the generation that was tried, wanted or good: the one on the disk
 * may be, or is written there. Restarts the machine where that changes what it starts, and returns where it
 * does not.
 */
async function otherKernel(
  ports: BootPorts,
  { desired, policy, uplink, storage }: Omit<InstallStage, 'facts'>,
  on: InstalledDisk | null,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (on !== null) await restartFromDisk(ports, on, desired, signal);
    if (storage.boot === null || uplink === null || desired.bootImage === null) return;
    const { record } = await loadBootRecord(ports.paths.state);
    const slots = ports.openSlots(storage.boot, {
      sourceFor: uplink.sourceFor,
      policy,
      floor: (name) => record.floors[name],
      exempt: () => new Set(),
    });
    const wanted = { generation: desired.generation, image: desired.bootImage, good: false };
    const seen = await slots.observe(wanted.image);
    const { steps, failed } = slotWork(seen, wanted);
    // Without a step the loader takes the other slot already, where that has the image.
    const runs = seen.slots[seen.running].manifest === wanted.image.manifest;
    if (failed || (runs && steps.length === 0)) return;
    await slots.apply(wanted, signal);
    await restartNow(ports, signal);
  } catch (error) {
    signal.throwIfAborted();
    ports.log.failure('boot-slot', error);
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
