// result.json: what a capture saw and how it ended. The same for machines of QEMU and for hardware; no
// logic.

import { z } from 'zod';
import { FLOW_NAMES } from './flows.ts';

export const TRANSPORTS = ['qemu', 'redfish', 'ipmi', 'manual'] as const;
export const TransportName = z.enum(TRANSPORTS);
export type TransportName = z.infer<typeof TransportName>;

/**
 * passed: every stage, in order, and no failure that stands. failed: something went wrong. timeout:
 * nothing went wrong, and the end did not come. blocked: nothing could be watched. interrupted: by a
 * person.
 */
export const Outcome = z.enum(['passed', 'failed', 'timeout', 'blocked', 'interrupted']);
export type Outcome = z.infer<typeof Outcome>;

export const Stage = z.strictObject({
  /** From 1. */
  boot: z.int().positive(),
  stage: z.string(),
  /** Since the start of the capture, by the watcher's clock: when it came first. */
  atSeconds: z.number().nonnegative(),
  /** Since the stage before it; within a boot by the machine's own clock where both tell it. */
  seconds: z.number().nonnegative(),
  /** Since the kernel started, as the machine tells it. */
  uptimeSeconds: z.number().nullable(),
  count: z.int().positive(),
  /** Of its newest line. */
  fields: z.record(z.string(), z.string()),
});
export type Stage = z.infer<typeof Stage>;

export const Failure = z.strictObject({
  boot: z.int().positive(),
  /** Null for what is no marker: a line of firmware, loader or kernel. */
  stage: z.string().nullable(),
  /** Of the table in docs/wire.md, or of the one in docs/hardware-smoke.md. */
  code: z.string(),
  message: z.string(),
  hint: z.string(),
  atSeconds: z.number().nonnegative(),
  /** The machine got over it by itself. */
  mended: z.boolean(),
});
export type Failure = z.infer<typeof Failure>;

export const Result = z.strictObject({
  format: z.literal(1),
  outcome: Outcome,
  flow: z.enum(FLOW_NAMES),
  transport: TransportName,
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  seconds: z.number().nonnegative(),
  /** Times that the machine was seen to start. */
  boots: z.int().nonnegative(),
  /** Of the console, before secrets were taken out of it. */
  bytes: z.int().nonnegative(),
  stages: z.array(Stage),
  missing: z.array(z.strictObject({ boot: z.int().positive(), stage: z.string() })),
  failures: z.array(Failure),
  /** Why it is blocked; null otherwise. */
  why: z.strictObject({ code: z.string(), message: z.string(), hint: z.string() }).nullable(),
});
export type Result = z.infer<typeof Result>;
