// What the coordinator stores of tasks, and how it becomes what operators and nodes see.

import { z } from 'zod';
import { InstanceId, TaskId } from '#shared/schema/ids.ts';
import {
  type LeasedTask,
  NodeTaskSpec,
  type Task,
  TaskOutcome,
  TaskState,
} from '#shared/schema/task.ts';
import { isoTime } from '../ids.ts';
import { collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';

const Moment = z.int().nonnegative();

export const TaskRecord = z.strictObject({
  id: TaskId,
  instance: InstanceId,
  spec: NodeTaskSpec,
  state: TaskState,
  epoch: z.int().nonnegative(),
  attemptsMax: z.int().positive(),
  createdAt: Moment,
  createdBy: z.string().max(128),
  leaseExpiresAt: Moment.nullable(),
  /** Of the node when it took the newest lease: another one is another boot. */
  bootId: z.uuid().nullable(),
  finishedAt: Moment.nullable(),
  result: TaskOutcome.nullable(),
});
export type TaskRecord = z.infer<typeof TaskRecord>;

/** Tasks of one instance that are not finished, in the order in which they were made. */
const QueueRecord = z.strictObject({ open: z.array(TaskId).max(16) });
export const QUEUE_MAX = 16;

/** What an idempotency key was used for. */
const TaskKeyRecord = z.strictObject({ task: TaskId, request: z.string().length(64) });

export const taskRecords = (store: Store) => ({
  tasks: collection(store, { prefix: 'tasks', schema: TaskRecord, id: TaskId, version: 1 }),
  queues: collection(store, { prefix: 'queues', schema: QueueRecord, id: InstanceId, version: 1 }),
  taskKeys: collection(store, {
    prefix: 'task-keys',
    schema: TaskKeyRecord,
    id: z.string().regex(/^[0-9a-f]{64}$/),
    version: 1,
  }),
});

export const taskView = ({ bootId: _, ...record }: TaskRecord): Task => ({
  ...record,
  createdAt: isoTime(record.createdAt),
  leaseExpiresAt: record.leaseExpiresAt === null ? null : isoTime(record.leaseExpiresAt),
  finishedAt: record.finishedAt === null ? null : isoTime(record.finishedAt),
});

/** A task just leased, as its holder gets it. */
export const leasedView = (record: TaskRecord, now: number): LeasedTask => ({
  id: record.id,
  epoch: record.epoch,
  spec: record.spec,
  leaseSeconds: secondsLeft(record, now),
});

export const secondsLeft = (record: TaskRecord, now: number): number =>
  Math.max(1, Math.round(((record.leaseExpiresAt ?? now) - now) / 1000));
