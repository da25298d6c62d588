// Signals: what sensors noticed, what may follow from it by itself, and what operators make of it.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { InstanceId, NodeName, TaskId, Timestamp } from './ids.ts';
import { ModuleName } from './module.ts';

/** What can be noticed of an instance, by the word that its id ends with. */
export const SIGNAL_KINDS = {
  silent: 'instance.silent',
  drift: 'module.drift_detected',
  stuck: 'instance.stuck',
} as const;

export const SignalTopic = z.enum(['silent', 'drift', 'stuck']);
export type SignalTopic = z.infer<typeof SignalTopic>;

/** The one signal of a topic that an instance can have open: `i-0123456789abcdef.drift`. */
export const SignalId = z
  .string()
  .regex(/^i-[0-9a-z]{16}\.(silent|drift|stuck)$/, 'an instance id, a dot, silent, drift or stuck')
  .brand<'SignalId'>();
export type SignalId = z.infer<typeof SignalId>;

/**
 * notify: nothing is done; notify_and_proceed: the remedy is taken at once; ask: it is taken when an
 * operator approves it.
 */
export const SignalPolicy = z.enum(['notify', 'notify_and_proceed', 'ask']);
export type SignalPolicy = z.infer<typeof SignalPolicy>;

/** What a class says of its nodes; null: as the coordinator's configuration says. */
export const ClassSignals = z
  .strictObject({
    silent: SignalPolicy.nullable().default(null),
    drift: SignalPolicy.nullable().default(null),
    stuck: SignalPolicy.nullable().default(null),
  })
  .prefault({});
export type ClassSignals = z.infer<typeof ClassSignals>;

/**
 * open: as noticed; acknowledged: somebody looks at it, and nothing is done by itself meanwhile;
 * resolved: no longer so, or dismissed.
 */
export const SignalState = z.enum(['open', 'acknowledged', 'resolved']);
export type SignalState = z.infer<typeof SignalState>;

/**
 * reconcile: the agent looks again now; restart: the modules are taken down and brought up from
 * nothing; reboot: a task reboot; boot: the next network boot gets a token.
 */
export const RemedyStep = z.enum(['reconcile', 'restart', 'reboot', 'boot']);
export type RemedyStep = z.infer<typeof RemedyStep>;

/**
 * none: nothing can be done from here, or may; asking: waits for an approval; due: comes next, after a
 * pause where one was tried; ordered: under way; exhausted: all was tried, and a person has to look.
 */
export const RemedyState = z.enum(['none', 'asking', 'due', 'ordered', 'exhausted']);
export type RemedyState = z.infer<typeof RemedyState>;

/** A module as it is and as it should be; null on the side where it is not. */
const Difference = z.object({
  module: ModuleName,
  wanted: z.object({ version: z.string().max(128), manifest: Digest }).nullable(),
  running: z
    .object({ version: z.string().max(128), manifest: Digest, state: z.string().max(16) })
    .nullable(),
});
export type Difference = z.infer<typeof Difference>;

/** attach: wanted, and does not run; detach: runs, unwanted; update: runs from another manifest. */
export const Drift = z.object({
  attach: z.array(Difference).max(64),
  detach: z.array(Difference).max(64),
  update: z.array(Difference).max(64),
});
export type Drift = z.infer<typeof Drift>;

export const Signal = z.object({
  id: SignalId,
  /** `instance.silent`, `module.drift_detected`, `instance.stuck`. */
  kind: z.enum(Object.values(SIGNAL_KINDS)),
  instance: InstanceId,
  node: NodeName.nullable(),
  state: SignalState,
  /** How often it was opened, this time included; an approval names what it approves by it. */
  opening: z.int().positive(),
  openedAt: Timestamp,
  changedAt: Timestamp,
  /** Who acknowledged or dismissed it. */
  by: z.string().max(128).nullable(),
  /** Why it is resolved; empty before. */
  resolution: z.string().max(256),
  text: z.string().max(1024),
  /** The likely cause, as a code where one is known. */
  cause: z.string().max(1024),
  hint: z.string().max(1024),
  /** Of `module.drift_detected`. */
  drift: Drift.nullable(),
  policy: SignalPolicy,
  remedy: z.object({
    state: RemedyState,
    /** In this order, one after the other while the signal lasts. */
    steps: z.array(RemedyStep).max(8),
    /** How many of them were ordered. */
    taken: z.int().nonnegative(),
    /** The newest order. */
    task: TaskId.nullable(),
    /** When the next one comes, where it is due. */
    nextAt: Timestamp.nullable(),
    approvedBy: z.string().max(128).nullable(),
  }),
});
export type Signal = z.infer<typeof Signal>;

/** Until when no heartbeat is expected of an instance. */
export const Quiet = z.object({
  instance: InstanceId,
  /** Null: it is expected now. */
  until: Timestamp.nullable(),
  /** Who said so. */
  by: z.string().max(128),
  reason: z.string().max(256),
});
export type Quiet = z.infer<typeof Quiet>;
