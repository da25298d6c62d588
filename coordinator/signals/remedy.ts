// Orders the steps of remedies, and sees how they ended. Which step, and when, is policy.ts; that it
// helped is seen by the sensors, and never believed of a task.

import { BilletError } from '#shared/errors.ts';
import type { RemedyStep } from '#shared/schema/signal.ts';
import type { TaskSpec } from '#shared/schema/task.ts';
import { COORDINATOR } from '../events/records.ts';
import type { Log } from '../log.ts';
import { orderBoot } from '../nodes/instance-writes.ts';
import type { Records } from '../records.ts';
import { isOpen } from '../tasks/lease.ts';
import { createTask } from '../tasks/task-writes.ts';
import type { Pending } from './apply.ts';
import { dueStep } from './policy.ts';
import { type SignalRecord, signalId } from './records.ts';

export interface RemedyDeps {
  readonly records: Records;
  readonly log: Log;
}

interface Found {
  readonly record: SignalRecord;
  readonly revision: number;
}

/** What is to be written of a signal that goes on; null when nothing is. */
export async function tendRemedy(deps: RemedyDeps, found: Found): Promise<Pending | null> {
  const { record, revision } = found;
  const next = record.remedy.isOpen ? await endedOrder(deps, record) : await newOrder(deps, record);
  return next && { turn: next, revision };
}

async function endedOrder({ records }: RemedyDeps, record: SignalRecord) {
  const { task } = record.remedy;
  const order = task === null ? null : await records.tasks.get(task);
  if (order && isOpen(order.record)) return null;
  const { spec, state = 'gone', result, finishedAt } = order?.record ?? {};
  const lastAt = finishedAt ?? records.clock.now();
  const why = result?.message ? `: ${result.message}` : '';
  return {
    next: { ...record, remedy: { ...record.remedy, isOpen: false, lastAt } },
    news: {
      kind: 'signal.remedy_ended',
      text: `${spec?.kind ?? 'a task'} ${task} has ${state}${why}; whether it helped shows in the next heartbeats`,
    },
  };
}

/**
 * The order first, under a key that is its own, then the signal: cut short in between, the same order
 * is found again.
 */
async function newOrder({ records, log }: RemedyDeps, record: SignalRecord) {
  const step = dueStep(record, records.clock.now());
  if (step === null) return null;
  const { instance, topic, remedy } = record;
  const id = signalId(instance, topic);
  const by = remedy.approvedBy ?? COORDINATOR;
  try {
    const task = await take(records, record, step);
    const now = records.clock.now();
    const after = {
      ...remedy,
      ...{ taken: remedy.taken + 1, orders: remedy.orders + 1 },
      ...{ task, isOpen: task !== null, lastAt: now },
    };
    const text = `${STEPS[step]}, for ${id}, by ${by} (${after.taken} of ${remedy.steps.length})`;
    return {
      next: { ...record, remedy: after },
      news: { kind: 'signal.remedy', text: task === null ? text : `${text}: ${task}` },
    };
  } catch (error) {
    if (!(error instanceof BilletError)) throw error;
    log.warn('a remedy waits', { signal: id, why: error.message, hint: error.hint });
    return null;
  }
}

const STEPS: Readonly<Record<RemedyStep, string>> = {
  reconcile: 'the agent looks again',
  restart: 'what is down is brought up from nothing',
  reboot: 'the machine is rebooted',
  boot: 'the next network boot gets a token',
};

async function take(records: Records, record: SignalRecord, step: RemedyStep) {
  const { instance, topic, openedAt, remedy } = record;
  if (step === 'boot') {
    await orderBoot(records, remedy.approvedBy ?? COORDINATOR, instance);
    return null;
  }
  const key = `${signalId(instance, topic)}.${openedAt}.${remedy.orders}`;
  const order = { instance, spec: specOf(record, step), attemptsMax: 2, idempotencyKey: key };
  return (await createTask(records, COORDINATOR, order)).id;
}

function specOf(
  { instance, topic, drift }: SignalRecord,
  step: Exclude<RemedyStep, 'boot'>,
): TaskSpec {
  if (step === 'reboot') return { kind: 'reboot', reason: signalId(instance, topic) };
  const down = step === 'restart' ? (drift?.attach ?? []) : [];
  return { kind: 'reconcile', restart: down.map(({ module }) => module) };
}
