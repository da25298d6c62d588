// What the coordinator stores of installations: the newest report of each instance, and the recovery
// keys of its disks, sealed. Decides nothing.

import { z } from 'zod';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { InstallEventId, WipeId } from '#shared/schema/install-plan.ts';
import { InstallReport } from '#shared/schema/install-report.ts';
import { collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';

/** Unix milliseconds. */
const Moment = z.int().nonnegative();

/** Part of the record of an instance: what was ordered, and whether it is done. */
export const InstallRecord = z.strictObject({
  event: InstallEventId,
  orderedAt: Moment,
  /** When the node said that it is installed; null before. */
  doneAt: Moment.nullable(),
  /** What the order says in the place of the plan's own: null leaves that as it is. */
  wipeId: WipeId.nullable(),
  diskSerial: z.string().min(1).max(256).nullable(),
  /** Its node refused, or plans only, and waits: a person has to say what is meant. */
  waits: z.boolean(),
});
export type InstallRecord = z.infer<typeof InstallRecord>;

/** The report that last changed something; what only moves stays in memory. */
export const ReportRecord = z.strictObject({
  report: InstallReport.omit({ recoveryKey: true }),
  at: Moment,
  /** When the first step of this event was reported; null before. */
  startedAt: Moment.nullable(),
  /** What was told last of a problem, so that each is told once. */
  told: z.string().max(2048).nullable(),
});
export type ReportRecord = z.infer<typeof ReportRecord>;

/** As many as an instance keeps: one for each time that its disk was encrypted anew. */
export const RECOVERY_KEYS_MAX = 8;

/** Ciphertexts: only the operator's private key opens them. They outlive the instance, as disks do. */
const RecoveryKeysRecord = z.strictObject({
  node: NodeName,
  /** The newest first. */
  keys: z
    .array(z.strictObject({ event: InstallEventId, at: Moment, sealed: z.base64().max(2048) }))
    .max(RECOVERY_KEYS_MAX),
});

export const installRecords = (store: Store) => ({
  installs: collection(store, {
    prefix: 'installs',
    schema: ReportRecord,
    id: InstanceId,
    version: 1,
  }),
  recoveryKeys: collection(store, {
    prefix: 'recovery-keys',
    schema: RecoveryKeysRecord,
    id: InstanceId,
    version: 1,
  }),
});
