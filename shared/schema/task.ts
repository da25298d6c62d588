// Tasks are leased, not sent: an agent holds one until it reports or the lease runs out.

import { z } from 'zod';
import { DrainOrder, DrainReport } from './drain.ts';
import { InstanceId, TaskId, Timestamp } from './ids.ts';
import { ModuleName, Probe } from './module.ts';

/** What an operator may ask once of a node. Strict. */
export const TaskSpec = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('reboot'), reason: z.string().max(256).default('') }),
  z.strictObject({
    kind: z.literal('collect-logs'),
    /** journalctl --unit; the whole journal of this boot without it. */
    unit: z
      .string()
      .regex(/^[A-Za-z0-9:_.@-]{1,128}$/)
      .optional(),
    lines: z.int().min(1).max(2000).default(200),
  }),
  z.strictObject({ kind: z.literal('run-probe'), probe: Probe }),
  /** Look again now; done when a whole pass has ended, failed when it left something undone. */
  z.strictObject({
    kind: z.literal('reconcile'),
    /** Service modules that are taken down first, and brought up from nothing if they are wanted. */
    restart: z.array(ModuleName).max(64).default([]),
  }),
]);
export type TaskSpec = z.infer<typeof TaskSpec>;

/** With what the coordinator asks as part of a drain: operators order those as drains. */
export const NodeTaskSpec = z.discriminatedUnion('kind', [
  ...TaskSpec.options,
  DrainOrder.extend({ kind: z.literal('drain') }),
  z.strictObject({ kind: z.literal('uncordon') }),
]);
export type NodeTaskSpec = z.infer<typeof NodeTaskSpec>;

export const TaskState = z.enum(['pending', 'leased', 'succeeded', 'failed', 'cancelled']);
export type TaskState = z.infer<typeof TaskState>;

/** Ends of a task as a node reports them. */
export const TaskOutcome = z.object({
  outcome: z.enum(['succeeded', 'failed']),
  code: z.string().max(64).optional(),
  message: z.string().max(1024).optional(),
  /** Kind-specific: text of the logs, the probe's finding. */
  output: z
    .string()
    .max(256 * 1024)
    .optional(),
  /** Of a drain. */
  drain: DrainReport.optional(),
});
export type TaskOutcome = z.infer<typeof TaskOutcome>;

/** A task as an operator sees it. */
export const Task = z.object({
  id: TaskId,
  instance: InstanceId,
  spec: NodeTaskSpec,
  state: TaskState,
  /** How many times it was leased; also the epoch of the newest lease. */
  epoch: z.int().nonnegative(),
  attemptsMax: z.int().positive(),
  createdAt: Timestamp,
  createdBy: z.string().max(128),
  /** Of the running lease. */
  leaseExpiresAt: Timestamp.nullable(),
  finishedAt: Timestamp.nullable(),
  result: TaskOutcome.nullable(),
});
export type Task = z.infer<typeof Task>;

/** A task as its holder gets it. `kind` is open here: a node refuses kinds that it does not know. */
export const LeasedTask = z.object({
  id: TaskId,
  epoch: z.int().positive(),
  spec: z.looseObject({ kind: z.string() }),
  leaseSeconds: z.int().positive(),
});
export type LeasedTask = z.infer<typeof LeasedTask>;
