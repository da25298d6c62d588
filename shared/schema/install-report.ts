// What a node says while it installs itself: sent at each step, and when it has to refuse.

import { z } from 'zod';
import { Disk } from './facts.ts';
import { Condition } from './heartbeat.ts';
import { InstallEventId, WipeId } from './install-plan.ts';

/** A disk of the machine, and why it is, or is not, the one. */
export const InstallCandidate = z.object({
  disk: Disk,
  /** Whether the selector of the plan means it. */
  matches: z.boolean(),
  /** A sentence: what does not fit, or what is in the way. */
  reason: z.string().max(512),
  /** What the plan has to say for its content to be lost; absent on an empty disk. */
  wipeId: WipeId.optional(),
});
export type InstallCandidate = z.infer<typeof InstallCandidate>;

export const INSTALL_STEPS = [
  'wipe',
  'partition',
  'format',
  'loader',
  'slot',
  'state',
  'finish',
] as const;
export const InstallStep = z.enum(INSTALL_STEPS);
export type InstallStep = z.infer<typeof InstallStep>;

/**
 * planned: it would install so (a dry run); refused: it waits for another plan; installing: a step of
 * it runs; failed: it is tried again; installed: done, the next boot is from the disk.
 */
export const InstallState = z.enum(['planned', 'refused', 'installing', 'failed', 'installed']);
export type InstallState = z.infer<typeof InstallState>;

export const InstallReport = z.object({
  event: InstallEventId,
  bootId: z.uuid(),
  state: InstallState,
  /** The step that runs, or was the last. */
  step: InstallStep.nullable(),
  /** Of the whole installation, 0 to 1. */
  progress: z.number().min(0).max(1),
  /** The one that was chosen. */
  disk: Disk.nullable(),
  candidates: z.array(InstallCandidate).max(64),
  /** Why it was refused or failed. */
  problem: Condition.nullable(),
  /** The recovery key, sealed to the operator's key; base64. From the step on that made it, in each report. */
  recoveryKey: z.base64().max(2048).nullable(),
});
export type InstallReport = z.infer<typeof InstallReport>;
