// Why an instance failed: what went wrong, and what changed before it, the likeliest first.

import { z } from 'zod';
import { InstanceId, NodeName, Timestamp } from './ids.ts';

/** What went wrong, the plainest of what is known. */
export const FailureKind = z.enum([
  'failed',
  'provider',
  'module',
  'reconcile',
  'rejected',
  'silent',
  'stuck',
  'drift',
]);
export type FailureKind = z.infer<typeof FailureKind>;

/** report: what the node itself says; the others: what changed, or what was done to it. */
export const CauseKind = z.enum([
  'report',
  'module',
  'boot_image',
  'settings',
  'provider',
  'host',
  'certificate',
  'task',
  'operator',
  'coordinator',
  'signal',
]);
export type CauseKind = z.infer<typeof CauseKind>;

export const Evidence = z.object({
  at: Timestamp,
  /** Where it can be read again: `event 123`, `heartbeat`, `machine`, `signal i-….silent`. */
  source: z.string().max(256),
  text: z.string().max(1024),
});
export type Evidence = z.infer<typeof Evidence>;

export const Cause = z.object({
  kind: CauseKind,
  what: z.string().max(1024),
  at: Timestamp,
  /** 1 to 100, comparable within one answer. */
  score: z.int().min(1).max(100),
  /** What the score is made of, in words. */
  reasons: z.array(z.string().max(256)).max(16),
  evidence: z.array(Evidence).max(16),
  /** The next command. */
  hint: z.string().max(1024),
});
export type Cause = z.infer<typeof Cause>;

export const Why = z.object({
  instance: InstanceId,
  node: NodeName.nullable(),
  /** Null when nothing is wrong with it: the causes are then only what changed lately. */
  failure: z
    .object({ kind: FailureKind, at: Timestamp, text: z.string(), source: z.string() })
    .nullable(),
  /** In the first cause. none: there is no failure, or nothing that changed before it. */
  confidence: z.enum(['high', 'medium', 'low', 'none']),
  /** One sentence. */
  reasoning: z.string(),
  causes: z.array(Cause).max(32),
  /** What was looked at. */
  looked: z.object({
    since: Timestamp,
    events: z.int().nonnegative(),
    /** Whether older events of that time were left out. */
    truncated: z.boolean(),
  }),
});
export type Why = z.infer<typeof Why>;
