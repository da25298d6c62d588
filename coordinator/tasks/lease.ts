// Pure rules of a task's life. Every time is given; nothing here reads a clock or a store.

import { BilletError } from '#shared/errors.ts';
import type { NodeTaskSpec, TaskOutcome } from '#shared/schema/task.ts';
import type { TaskRecord } from './records.ts';

const SECOND = 1_000;

/**
 * How long a holder has until it must renew. The lease of a reboot cannot be renewed: its end is the
 * deadline for the new boot id, and it is never given twice, so that no machine reboots twice.
 */
export function leaseMs(spec: NodeTaskSpec): number {
  switch (spec.kind) {
    case 'reboot':
      return 600 * SECOND;
    case 'collect-logs':
    case 'drain':
    case 'reconcile':
    case 'uncordon':
      return 60 * SECOND;
    case 'run-probe':
      return (spec.probe.timeoutSeconds + 30) * SECOND;
  }
}

export const isOpen = (task: TaskRecord): boolean =>
  task.state === 'pending' || task.state === 'leased';

const isExpired = (task: TaskRecord, now: number) =>
  task.state === 'leased' && (task.leaseExpiresAt ?? 0) <= now;

/** The task failed when its last lease has run out; else the same object. */
export function settle(task: TaskRecord, now: number): TaskRecord {
  if (!isExpired(task, now)) return task;
  if (task.spec.kind === 'reboot')
    return ended(task, now, {
      outcome: 'failed',
      code: 'TIMEOUT',
      message: `no new boot id within ${leaseMs(task.spec) / SECOND} s of the lease`,
    });
  if (task.epoch < task.attemptsMax) return task;
  return ended(task, now, {
    outcome: 'failed',
    code: 'TASK_FAILED',
    message: `the lease ran out ${task.epoch} times without a report`,
  });
}

/** Whether a lease would be given at `now`. A reboot needs a boot id to compare the next one with. */
export function isFree(task: TaskRecord, now: number, bootId: string | null): boolean {
  if (settle(task, now) !== task) return false;
  if (task.spec.kind === 'reboot' && bootId === null) return false;
  return task.state === 'pending' || isExpired(task, now);
}

/** The task held by a new lease, its epoch one higher; null when it is not free at `now`. */
export function take(task: TaskRecord, now: number, bootId: string | null): TaskRecord | null {
  if (!isFree(task, now, bootId)) return null;
  const leaseExpiresAt = now + leaseMs(task.spec);
  return { ...task, state: 'leased', epoch: task.epoch + 1, leaseExpiresAt, bootId };
}

/**
 * Whether the asker holds this lease and has not heard of it: the reply got lost. Only for one that
 * holds nothing, as it says by naming its boot. A reboot is safe to give again to the boot that was
 * to end: it can end only once.
 */
export const isUnheard = (task: TaskRecord, now: number, bootId: string): boolean =>
  task.state === 'leased' && task.bootId === bootId && !isExpired(task, now);

/** Held for longer by the holder; the same object when it was cancelled. LEASE_LOST for another. */
export function renew(task: TaskRecord, epoch: number, now: number): TaskRecord {
  const current = settle(task, now);
  if (current.epoch !== epoch) throw lost(task, epoch);
  if (current.state === 'cancelled') return current;
  if (current.state !== 'leased') throw lost(task, epoch);
  if (current.spec.kind === 'reboot') return current;
  return { ...current, leaseExpiresAt: now + leaseMs(current.spec) };
}

/**
 * The finished task. Reporting the same end again is fine, for replies get lost; a holder whose
 * lease was taken over, or whose task was cancelled or given up, gets LEASE_LOST and changes nothing.
 * A reboot reported as done stays leased: only another boot id ends it well.
 */
export function finish(
  task: TaskRecord,
  epoch: number,
  result: TaskOutcome,
  now: number,
): TaskRecord {
  if (task.epoch !== epoch) throw lost(task, epoch);
  if (task.state === result.outcome) return task;
  if (task.state !== 'leased') throw lost(task, epoch);
  if (task.spec.kind === 'reboot' && result.outcome === 'succeeded') return task;
  return ended(task, now, result);
}

/** A heartbeat of `bootId` was seen: it ends a reboot that was leased under another one. */
export function seenBoot(task: TaskRecord, bootId: string, now: number): TaskRecord {
  const rebooted = task.spec.kind === 'reboot' && task.state === 'leased' && task.bootId !== bootId;
  return rebooted
    ? ended(task, now, { outcome: 'succeeded', message: `booted as ${bootId}` })
    : task;
}

/** Taken back: its holder can no longer report it. CONFLICT when it has ended otherwise. */
export function cancel(task: TaskRecord, now: number): TaskRecord {
  if (task.state === 'cancelled') return task;
  if (isOpen(task)) return { ...task, state: 'cancelled', leaseExpiresAt: null, finishedAt: now };
  throw new BilletError('CONFLICT', `task ${task.id} has ${task.state} already`, {
    hint: `billet task show ${task.id}`,
  });
}

const ended = (task: TaskRecord, now: number, result: TaskOutcome): TaskRecord => ({
  ...task,
  state: result.outcome,
  leaseExpiresAt: null,
  finishedAt: now,
  result,
});

const lost = (task: TaskRecord, epoch: number) =>
  new BilletError('LEASE_LOST', `task ${task.id}: epoch ${epoch} is not the holder`, {
    hint: 'drop the result: the task was taken back, given up, or is in another lease',
    details: { state: task.state, epoch: task.epoch },
  });
