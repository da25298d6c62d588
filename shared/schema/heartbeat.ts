// What a node says of itself every 30 s. Absent means not measured, never drift.

import { z } from 'zod';
import { Digest } from '../digest.ts';
import { Timestamp } from './ids.ts';
import { ModuleName } from './module.ts';

/** Something that a person should know, while it lasts. */
export const Condition = z.object({
  code: z.string().regex(/^[A-Z][A-Z0-9_]{1,63}$/),
  text: z.string().max(1024),
  hint: z.string().max(1024),
});
export type Condition = z.infer<typeof Condition>;

/** booting: in the initramfs; bootstrapping: in the system image, not yet converged. */
export const Phase = z.enum(['booting', 'bootstrapping', 'ready', 'degraded', 'stopping']);
export type Phase = z.infer<typeof Phase>;

export const ModuleState = z.object({
  name: ModuleName,
  version: z.string().max(128),
  manifest: Digest,
  image: Digest,
  /** merged: part of the system image; attached: its services run; failed: they should but don't. */
  state: z.enum(['merged', 'attached', 'failed']),
  /** Where its data outlive generations; what is lost with the disks of the node. */
  persistent: z.array(z.string().max(4096)).max(64).optional(),
});
export type ModuleState = z.infer<typeof ModuleState>;

export const Verdict = z.object({
  generation: z.int().positive(),
  verdict: z.enum(['good', 'unconfirmed', 'rejected']),
  reason: z.string().max(1024).default(''),
});
export type Verdict = z.infer<typeof Verdict>;

export const Heartbeat = z.object({
  /** /proc/sys/kernel/random/boot_id: another one is another boot. */
  bootId: z.uuid(),
  agentVersion: z.string().max(64),
  uptimeSeconds: z.number().nonnegative(),
  phase: Phase,
  /** The generation that runs; its system image may be older when one is staged. */
  generation: z.int().nonnegative(),
  systemImage: Digest.optional(),
  /** A generation that the next boot takes up. */
  staged: z.int().positive().optional(),
  modules: z.array(ModuleState).max(64).optional(),
  lastReconcile: z
    .object({
      at: Timestamp,
      outcome: z.enum(['converged', 'changed', 'failed']),
      steps: z.int().nonnegative(),
      code: z.string().max(64).optional(),
      message: z.string().max(1024).optional(),
    })
    .optional(),
  verdicts: z.array(Verdict).max(16).optional(),
  conditions: z.array(Condition).max(64).default([]),
  /** Where the machine was started from a boot slot of its disk: a is on the ESP, b beside it. */
  slot: z
    .object({
      name: z.enum(['a', 'b']),
      /** The file that was started; `+3` in its name are the boots that it has left. */
      entry: z.string().max(128),
      triesLeft: z.int().nonnegative().optional(),
    })
    .optional(),
  /** Names of containers that run, where the node has a container engine. */
  containers: z.array(z.string().max(256)).max(64).optional(),
  /** The provider said, on the machine, that it takes it away then. */
  preemption: z.object({ endsAt: Timestamp }).optional(),
  /** One-minute load average, as in /proc/loadavg. */
  load1: z.number().nonnegative().optional(),
  memoryTotalBytes: z.int().positive().optional(),
  memoryAvailableBytes: z.int().nonnegative().optional(),
});
export type Heartbeat = z.infer<typeof Heartbeat>;

export const HeartbeatReply = z.object({
  /** ETag of the desired state; another one than the node's means: fetch it. */
  desired: z.string().max(256),
  /** Tasks that wait for a lease. */
  tasks: z.int().nonnegative(),
  /** The newest generation that the coordinator has seen ready. */
  confirmed: z.int().positive().nullable(),
  /** How long to wait until the next one. */
  intervalSeconds: z.int().min(1).max(3600),
  /** The CAs to trust, the one that issues first; others than the node's mean: renew now. */
  trusted: z.array(Digest).max(4).optional(),
});
export type HeartbeatReply = z.infer<typeof HeartbeatReply>;

/** Messages on GET /v1/node/channel. `seq` ties a reply to its heartbeat. */
export const NodeMessage = z.object({
  type: z.literal('heartbeat'),
  seq: z.int().nonnegative(),
  heartbeat: Heartbeat,
});
export type NodeMessage = z.infer<typeof NodeMessage>;

export const CoordinatorMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('reply'), seq: z.int().nonnegative(), reply: HeartbeatReply }),
  z.object({
    type: z.literal('error'),
    seq: z.int().nonnegative(),
    code: z.string(),
    message: z.string(),
    hint: z.string(),
  }),
  /** A hint, never truth: what follows is an ordinary request. */
  z.object({ type: z.literal('nudge'), what: z.enum(['desired', 'tasks']) }),
]);
export type CoordinatorMessage = z.infer<typeof CoordinatorMessage>;
