// Changes of tasks by operators and by time: each one commit of task, queue and event. The rules of
// a task's life are in lease.ts; what its holder does is in lease-writes.ts.

import { createHash } from 'node:crypto';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId, TaskId } from '#shared/schema/ids.ts';
import type { NodeTaskSpec } from '#shared/schema/task.ts';
import { COORDINATOR, type News } from '../events/records.ts';
import { newTaskId } from '../ids.ts';
import { isLive } from '../nodes/lifecycle.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { cancel, isOpen, settle } from './lease.ts';
import { QUEUE_MAX, type TaskRecord } from './records.ts';

/** A task as it was read, and what becomes of it. */
export interface TaskStep {
  readonly found: Found<TaskRecord>;
  readonly next: TaskRecord;
  readonly news: Pick<News, 'actor' | 'kind' | 'text'>;
}

/**
 * The writes of steps of one instance's tasks, and of new ones; its queue forgets those that have ended.
 * CONFLICT when it is full.
 */
export async function stepChanges(
  records: Records,
  instance: InstanceId,
  steps: readonly TaskStep[],
  added: readonly TaskRecord[] = [],
): Promise<readonly Change[]> {
  const ended = new Set(steps.filter(({ next }) => !isOpen(next)).map(({ next }) => next.id));
  const isTouched = ended.size > 0 || added.length > 0;
  const queue = isTouched ? await records.queues.get(instance) : null;
  const kept = queue?.record.open.filter((id) => !ended.has(id)) ?? [];
  const open = [...kept, ...added.map(({ id }) => id)];
  if (added.length > 0 && open.length > QUEUE_MAX) throw queueFull(instance);
  return [
    ...steps.flatMap(({ found, next, news }) => [
      records.tasks.put(found.id, next, found.revision),
      records.events.tell({ ...news, subject: `task/${found.id}`, details: { instance } }),
    ]),
    ...added.flatMap((task) => [
      records.tasks.put(task.id, task, ABSENT),
      records.events.tell({
        actor: task.createdBy,
        kind: 'task.created',
        subject: `task/${task.id}`,
        text: `${task.spec.kind} was asked of ${instance}`,
        details: { instance },
      }),
    ]),
    ...(isTouched && (queue || added.length > 0)
      ? [records.queues.put(instance, { open }, queue?.revision ?? ABSENT)]
      : []),
  ];
}

/** A task that nobody holds yet. Not yet written. */
export const newTask = (
  records: Records,
  actor: string,
  { instance, spec, attemptsMax }: Pick<TaskOrder, 'instance' | 'spec' | 'attemptsMax'>,
): TaskRecord => ({
  ...{ id: newTaskId(), instance, spec, state: 'pending', epoch: 0, attemptsMax },
  ...{ createdAt: records.clock.now(), createdBy: actor },
  ...{ leaseExpiresAt: null, bootId: null, finishedAt: null, result: null },
});

/** The tasks of an instance that have not ended, oldest first. */
export async function openTasks(
  records: Records,
  instance: InstanceId,
): Promise<readonly Found<TaskRecord>[]> {
  const queue = await records.queues.get(instance);
  const found = await Promise.all((queue?.record.open ?? []).map((id) => records.tasks.get(id)));
  return found.filter((one) => one !== null);
}

export interface TaskOrder {
  readonly instance: InstanceId;
  readonly spec: NodeTaskSpec;
  readonly attemptsMax: number;
  readonly idempotencyKey?: string | undefined;
}

/**
 * A new task, or the one that the same order under the same key made before. CONFLICT when the key
 * stands for another order, when the instance has ended, or when its queue is full.
 */
export async function createTask(
  records: Records,
  actor: string,
  order: TaskOrder,
): Promise<TaskRecord> {
  const { instance, spec, attemptsMax, idempotencyKey } = order;
  const key = idempotencyKey === undefined ? null : hash(`${actor}\0${idempotencyKey}`);
  const request = hash(JSON.stringify({ instance, spec, attemptsMax }));
  const task = await transact(records.store, `tasks of ${instance}`, async () => {
    const used = key === null ? null : await records.taskKeys.get(key);
    if (used) return null;
    const found = await records.instances.get(instance);
    if (!found || !isLive(found.record.state)) throw noInstance(instance);
    const record = newTask(records, actor, order);
    const keyed = { task: record.id, request };
    return {
      changes: [
        ...(await stepChanges(records, instance, [], [record])),
        ...(key === null ? [] : [records.taskKeys.put(key, keyed, ABSENT)]),
      ],
      // The instance must not have ended meanwhile.
      conditions: [{ key: records.instances.key(instance), revision: found.revision }],
      result: () => record,
    };
  });
  return task ?? (await taskOfKey(records, key ?? '', request));
}

async function taskOfKey(records: Records, key: string, request: string): Promise<TaskRecord> {
  const used = await records.taskKeys.get(key);
  if (!used || used.record.request !== request)
    throw new BilletError('CONFLICT', 'the idempotency key stands for another task', {
      hint: 'use a new key for a new task',
      details: { task: used?.record.task ?? null },
    });
  return (await getTask(records, used.record.task)).record;
}

/** NOT_FOUND. */
export async function getTask(records: Records, id: TaskId): Promise<Found<TaskRecord>> {
  const found = await records.tasks.get(id);
  if (found) return found;
  throw new BilletError('NOT_FOUND', `no task ${id}`, { hint: 'billet task list' });
}

/** Idempotent. CONFLICT when it has ended otherwise; NOT_FOUND. */
export async function cancelTask(records: Records, actor: string, id: TaskId): Promise<TaskRecord> {
  const cancelled = await transact(records.store, `task ${id}`, async () => {
    const found = await getTask(records, id);
    const next = cancel(found.record, records.clock.now());
    if (next === found.record) return null;
    const news = { actor, kind: 'task.cancelled', text: `task ${id} was taken back` };
    return {
      changes: await stepChanges(records, next.instance, [{ found, next, news }]),
      result: () => next,
    };
  });
  return cancelled ?? (await getTask(records, id)).record;
}

/** The steps that end every open task of an instance whose life ends. */
export async function closingSteps(
  records: Records,
  actor: string,
  instance: InstanceId,
): Promise<readonly TaskStep[]> {
  const now = records.clock.now();
  return (await openTasks(records, instance)).map((found) => ({
    found,
    next: cancel(found.record, now),
    news: { actor, kind: 'task.cancelled', text: `${instance} was terminated` },
  }));
}

/** Fails what time has ended: for the sweep, when no node asks any more. */
export async function settleTasks(records: Records, instance: InstanceId): Promise<void> {
  await transact(records.store, `tasks of ${instance}`, async () => {
    const steps = settlingSteps(await openTasks(records, instance), records.clock.now());
    if (steps.length === 0) return null;
    return { changes: await stepChanges(records, instance, steps), result: () => true };
  });
}

export const settlingSteps = (
  open: readonly Found<TaskRecord>[],
  now: number,
): readonly TaskStep[] =>
  open.flatMap((found) => {
    const next = settle(found.record, now);
    if (next === found.record) return [];
    const text = `${next.spec.kind} failed: ${next.result?.message ?? ''}`;
    return [{ found, next, news: { actor: COORDINATOR, kind: 'task.failed', text } }];
  });

const hash = (text: string) => createHash('sha256').update(text).digest('hex');

const noInstance = (instance: InstanceId) =>
  new BilletError('NOT_FOUND', `no live instance ${instance}`, { hint: 'billet instance list' });

const queueFull = (instance: InstanceId) =>
  new BilletError('CONFLICT', `${instance} has ${QUEUE_MAX} open tasks already`, {
    hint: `wait for them, or cancel some: billet task list --instance ${instance}`,
  });
