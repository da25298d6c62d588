// Tasks as operators work with them. Bodies are strict.

import { z } from 'zod';
import { InstanceId, TaskId } from '../schema/ids.ts';
import { Task, TaskSpec, TaskState } from '../schema/task.ts';
import { empty, none, pageOf, pageQuery } from './common.ts';
import type { Route } from './route.ts';

const taskParams = z.strictObject({ id: TaskId });

export const createTask = {
  method: 'POST',
  path: '/v1/tasks',
  caller: 'operator',
  summary: 'Give an instance something to do once',
  params: none,
  query: none,
  body: z.strictObject({
    instance: InstanceId,
    spec: TaskSpec,
    attemptsMax: z.int().min(1).max(10).default(3),
    /** The same key and request again returns the same task. */
    idempotencyKey: z
      .string()
      .regex(/^[\x21-\x7e]{1,128}$/)
      .optional(),
  }),
  reply: Task,
  status: 201,
} as const satisfies Route;

export const listTasks = {
  method: 'GET',
  path: '/v1/tasks',
  caller: 'viewer',
  summary: 'List tasks',
  params: none,
  query: pageQuery.extend({ instance: InstanceId.optional(), state: TaskState.optional() }),
  body: none,
  reply: pageOf(Task),
} as const satisfies Route;

export const getTask = {
  method: 'GET',
  path: '/v1/tasks/{id}',
  caller: 'viewer',
  summary: 'Show one task',
  params: taskParams,
  query: none,
  body: none,
  reply: Task,
} as const satisfies Route;

export const cancelTask = {
  method: 'POST',
  path: '/v1/tasks/{id}/cancel',
  caller: 'operator',
  summary: 'Take a task back; its holder can no longer report it',
  params: taskParams,
  query: none,
  body: empty,
  reply: Task,
} as const satisfies Route;
