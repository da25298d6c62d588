// Drains: taking everything off a node before it goes, as operators order them and as nodes report
// what became of them.

import { z } from 'zod';
import { TaskId, Timestamp } from './ids.ts';

/** What an operator asks for. Strict. */
export const DrainOrder = z.strictObject({
  /** Nothing new comes to the node; what runs goes on. */
  cordonOnly: z.boolean().default(false),
  /** How long what runs may take to go; then what is left is reported. */
  timeoutSeconds: z.int().min(1).max(86_400).default(600),
});
export type DrainOrder = z.infer<typeof DrainOrder>;

/** Something that is still on the node, and why. */
export const Stayed = z.object({
  kind: z.enum(['pod', 'container', 'engine', 'service', 'cgroup', 'cluster']),
  /** As the tools of its kind name it: `namespace/pod`, a container, a module, a unit. */
  name: z.string().max(512),
  reason: z.string().max(1024),
});
export type Stayed = z.infer<typeof Stayed>;

/** What a node has seen at the end of a drain, whatever its outcome. */
export const DrainReport = z.object({
  /** Seen afterwards: no process of a module, no container, no pod but those that belong to the node. */
  empty: z.boolean(),
  /** One line each, in order: what was done. */
  done: z.array(z.string().max(512)).max(128),
  stayed: z.array(Stayed).max(64),
  /** How many more than `stayed` has. */
  more: z.int().nonnegative().default(0),
});
export type DrainReport = z.infer<typeof DrainReport>;

/**
 * waiting: the node has not taken it up; cordoned: nothing new comes, and no more was asked; drained:
 * seen empty; incomplete: something would not move; cancelled: stopped on the way, still cordoned;
 * uncordoning: the node is to take work again.
 */
export const DrainState = z.enum([
  'waiting',
  'draining',
  'cordoned',
  'drained',
  'incomplete',
  'cancelled',
  'uncordoning',
]);
export type DrainState = z.infer<typeof DrainState>;

/** The drain of an instance, from its order until it is taken back. */
export const Drain = z.object({
  state: DrainState,
  cordonOnly: z.boolean(),
  timeoutSeconds: z.int(),
  orderedAt: Timestamp,
  orderedBy: z.string(),
  /** The newest task of it, the one that takes it back included. */
  task: TaskId,
  /** Why it did not come to its end. */
  message: z.string().nullable(),
  report: DrainReport.nullable(),
});
export type Drain = z.infer<typeof Drain>;
