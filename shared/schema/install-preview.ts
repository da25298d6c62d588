// What an install plan would mean on the disks that a machine last told of: asked before anything is
// ordered. What is on a disk only the machine itself sees.

import { z } from 'zod';
import { Disk } from './facts.ts';
import { Condition } from './heartbeat.ts';
import { Timestamp } from './ids.ts';
import { InstallPlan } from './install-plan.ts';
import { InstallCandidate } from './install-report.ts';

export const InstallPreview = z.object({
  plan: InstallPlan,
  /**
   * facts: as the machine enrolled or renewed, by name, size and the like; report: as its installer saw
   * them, with what is on them.
   */
  seen: z.enum(['facts', 'report']),
  /** When it told of its disks in a report; null for facts. */
  seenAt: Timestamp.nullable(),
  /** Null where none is, or several are, meant. */
  chosen: Disk.nullable(),
  candidates: z.array(InstallCandidate).max(256),
  /** Why it would be refused; null: nothing that is known speaks against it. */
  problem: Condition.nullable(),
});
export type InstallPreview = z.infer<typeof InstallPreview>;

/** A recovery key as the coordinator has it: a ciphertext. */
export const SealedRecoveryKey = z.object({
  event: z.string(),
  at: Timestamp,
  sealed: z.base64(),
});
export type SealedRecoveryKey = z.infer<typeof SealedRecoveryKey>;
