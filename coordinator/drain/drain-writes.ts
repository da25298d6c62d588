// Drains as operators order, cancel and take them back. Each is one commit of the instance, its drain,
// its tasks and the event. What may be asked is in rules.ts.

import { BilletError } from '#shared/errors.ts';
import type { DrainOrder } from '#shared/schema/drain.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { noInstance, told } from '../nodes/instance-writes.ts';
import { enter, type InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { cancel, isOpen } from '../tasks/lease.ts';
import type { TaskRecord } from '../tasks/records.ts';
import { newTask, stepChanges, type TaskStep } from '../tasks/task-writes.ts';
import type { DrainRecord } from './records.ts';
import { assertRuns, isOrdered, ordered } from './rules.ts';

/** How often a node that goes away in the middle is given the task again. */
export const DRAIN_ATTEMPTS = 10;

/** The same order again changes nothing. CONFLICT (see rules.ts); NOT_FOUND. */
export async function drain(
  records: Records,
  actor: string,
  id: InstanceId,
  order: DrainOrder,
): Promise<void> {
  await transact(records.store, `instance ${id}`, async () => {
    const { instance, found, task } = await read(records, id);
    const known = found && { record: found.record, task: task?.record ?? null };
    if (isOrdered(instance.record, known, order)) return null;
    const spec = { kind: 'drain', ...order } as const;
    const made = newTask(records, actor, { instance: id, spec, attemptsMax: DRAIN_ATTEMPTS });
    const now = records.clock.now();
    const state = ordered(instance.record, order);
    const next = { ...enter(instance.record, state, now, `drained by ${actor}`), drained: false };
    const record: DrainRecord = {
      ...{ order, orderedAt: now, orderedBy: actor },
      ...{ task: made.id, uncordon: null, report: null },
    };
    const what = order.cordonOnly ? 'cordoned' : 'drained';
    return {
      changes: [
        records.instances.put(id, next, instance.revision),
        records.drains.put(id, record, found?.revision ?? ABSENT),
        ...(await stepChanges(records, id, [], [made])),
        told(records, actor, id, 'instance.draining', `${id} is to be ${what}`),
      ],
      result: () => true,
    };
  });
}

/** Idempotent. CONFLICT when it has come to its end, or when there is none; NOT_FOUND. */
export async function cancelDrain(records: Records, actor: string, id: InstanceId): Promise<void> {
  await transact(records.store, `instance ${id}`, async () => {
    const { found, task } = await read(records, id);
    if (!found) throw notDrained(id);
    if (!task || task.record.state === 'cancelled') return null;
    if (found.record.uncordon !== null || !isOpen(task.record)) throw hasEnded(id, task.record);
    const step = cancelled(records, actor, task);
    return {
      changes: [
        ...(await stepChanges(records, id, [step])),
        told(records, actor, id, 'instance.drain_cancelled', `the drain of ${id} was cancelled`),
      ],
      result: () => true,
    };
  });
}

/**
 * The node is to take work again: what is under way of its drain is cancelled, and a task takes back
 * what was done. It runs once the node has reported that. Idempotent; CONFLICT for what has ended.
 */
export async function uncordon(records: Records, actor: string, id: InstanceId): Promise<void> {
  await transact(records.store, `instance ${id}`, async () => {
    const { instance, found, task } = await read(records, id);
    assertRuns(instance.record, 'uncordoned');
    if (!found) return null;
    if (found.record.uncordon !== null && task && isOpen(task.record)) return null;
    const spec = { kind: 'uncordon' } as const;
    const made = newTask(records, actor, { instance: id, spec, attemptsMax: DRAIN_ATTEMPTS });
    const steps = task && isOpen(task.record) ? [cancelled(records, actor, task)] : [];
    // It may be taking up work from now on.
    const next = { ...instance.record, drained: false };
    return {
      changes: [
        records.instances.put(id, next, instance.revision),
        records.drains.put(id, { ...found.record, uncordon: made.id }, found.revision),
        ...(await stepChanges(records, id, steps, [made])),
        told(records, actor, id, 'instance.uncordoning', `${id} is to take work again`),
      ],
      result: () => true,
    };
  });
}

interface DrainParts {
  readonly instance: Found<InstanceRecord>;
  readonly found: Found<DrainRecord> | null;
  /** The newest of its tasks. */
  readonly task: Found<TaskRecord> | null;
}

async function read(records: Records, id: InstanceId): Promise<DrainParts> {
  const instance = (await records.instances.get(id)) ?? noInstance(id);
  const found = await records.drains.get(id);
  const task = found && (await records.tasks.get(found.record.uncordon ?? found.record.task));
  return { instance, found, task };
}

const cancelled = (records: Records, actor: string, found: Found<TaskRecord>): TaskStep => ({
  found,
  next: cancel(found.record, records.clock.now()),
  news: { actor, kind: 'task.cancelled', text: `task ${found.id} was taken back` },
});

const notDrained = (id: InstanceId) =>
  new BilletError('CONFLICT', `${id} is not being drained`, { hint: `billet instance show ${id}` });

const hasEnded = (id: InstanceId, { state, spec }: TaskRecord) =>
  new BilletError('CONFLICT', `the ${spec.kind} of ${id} has ${state} already`, {
    hint: `billet instance uncordon ${id} lets it take work again`,
    details: { state },
  });
