// Orders the steps of remedies, and sees how they ended. Which step, and when, is policy.ts; that it
// helped is seen by the sensors, and never believed of a task.

import { BilletError } from '#shared/errors.ts';
import type { RemedyStep } from '#shared/schema/signal.ts';
import type { TaskSpec } from '#shared/schema/task.ts';
import { COORDINATOR } from '../events/records.ts';
import type { Log } from '../log.ts';
import { mayEnroll } from '../nodes/lifecycle.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import type { Found as Stored } from '../store/collection.ts';
import { isOpen } from '../tasks/lease.ts';
import { newTask, stepChanges } from '../tasks/task-writes.ts';
import type { Pending } from './apply.ts';
import { dueStep } from './policy.ts';
import { type SignalRecord, signalId } from './records.ts';

export interface RemedyDeps {
  readonly records: Records;
  readonly log: Log;
}

type StoredInstance = Stored<InstanceRecord>;

interface Found {
  readonly record: SignalRecord;
  readonly revision: number;
}

/** What is to be written of a signal that goes on; null when nothing is. */
export async function tendRemedy(deps: RemedyDeps, found: Found): Promise<Pending | null> {
  const { record, revision } = found;
  const tended = record.remedy.isOpen
    ? await endedOrder(deps, record)
    : await newOrder(deps, record);
  return tended && { ...tended, revision };
}

type Tended = Omit<Pending, 'revision'> | null;

async function endedOrder({ records }: RemedyDeps, record: SignalRecord): Promise<Tended> {
  const { task } = record.remedy;
  const order = task === null ? null : await records.tasks.get(task);
  if (order && isOpen(order.record)) return null;
  const { spec, state = 'gone', result, finishedAt } = order?.record ?? {};
  const lastAt = finishedAt ?? records.clock.now();
  const why = result?.message ? `: ${result.message}` : '';
  const text = `${spec?.kind ?? 'a task'} ${task} has ${state}${why}; whether it helped shows in the next heartbeats`;
  const next = { ...record, remedy: { ...record.remedy, isOpen: false, lastAt } };
  return { turn: { next, news: { kind: 'signal.remedy_ended', text } } };
}

/** The order and the signal that says so are one commit: cut short, there is neither. */
async function newOrder({ records, log }: RemedyDeps, record: SignalRecord): Promise<Tended> {
  const now = records.clock.now();
  const step = dueStep(record, now);
  const instance = await records.instances.get(record.instance);
  if (step === null || !instance || !mayEnroll(instance.record.state)) return null;
  const { remedy } = record;
  const id = signalId(record.instance, record.topic);
  const taken = remedy.taken + 1;
  try {
    const task = step === 'boot' ? null : newTask(records, COORDINATOR, taskFor(record, step));
    const next = { ...remedy, taken, task: task?.id ?? null, isOpen: task !== null, lastAt: now };
    const by = remedy.approvedBy ?? COORDINATOR;
    const text = `${STEPS[step]}, for ${id}, by ${by} (${taken} of ${remedy.steps.length})`;
    return {
      turn: {
        next: { ...record, remedy: next },
        news: { kind: 'signal.remedy', text: task === null ? text : `${text}: ${task.id}` },
      },
      order: task
        ? {
            changes: await stepChanges(records, record.instance, [], [task]),
            // It must not have ended meanwhile.
            conditions: [
              { key: records.instances.key(record.instance), revision: instance.revision },
            ],
          }
        : { changes: bootOrder(records, instance), conditions: [] },
    };
  } catch (error) {
    if (!(error instanceof BilletError)) throw error;
    log.warn('a remedy waits', { signal: id, why: error.message, hint: error.hint });
    return null;
  }
}

const bootOrder = (records: Records, { id, record, revision }: StoredInstance) => [
  records.instances.put(id, { ...record, boot: { ...record.boot, ordered: true } }, revision),
];

const STEPS: Readonly<Record<RemedyStep, string>> = {
  reconcile: 'the agent looks again',
  restart: 'what is down is brought up from nothing',
  reboot: 'the machine is rebooted',
  boot: 'the next network boot gets a token',
};

const ATTEMPTS = 2;

const taskFor = (record: SignalRecord, step: Exclude<RemedyStep, 'boot'>) => ({
  instance: record.instance,
  spec: specOf(record, step),
  attemptsMax: step === 'reboot' ? 1 : ATTEMPTS,
});

function specOf(
  { instance, topic, drift }: SignalRecord,
  step: Exclude<RemedyStep, 'boot'>,
): TaskSpec {
  if (step === 'reboot') return { kind: 'reboot', reason: signalId(instance, topic) };
  const down = step === 'restart' ? (drift?.attach ?? []) : [];
  return { kind: 'reconcile', restart: down.map(({ module }) => module) };
}
