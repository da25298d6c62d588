// What the coordinator stores of signals and of quiet instances, and how operators see it. Decides
// nothing. One record an instance and topic, so that there are never two open ones; what it was before
// stands in the events.

import { z } from 'zod';
import { InstanceId, NodeName, TaskId } from '#shared/schema/ids.ts';
import {
  Drift,
  type Quiet,
  RemedyStep,
  SIGNAL_KINDS,
  type Signal,
  SignalId,
  SignalPolicy,
  SignalState,
  SignalTopic,
} from '#shared/schema/signal.ts';
import { isoTime } from '../ids.ts';
import { collection, type Found } from '../store/collection.ts';
import type { Store } from '../store/store.ts';
import { nextStepAt, remedyState } from './policy.ts';

/** Unix milliseconds. */
const Moment = z.int().nonnegative();

export const SignalRecord = z.strictObject({
  instance: InstanceId,
  topic: SignalTopic,
  node: NodeName.nullable(),
  state: SignalState,
  opening: z.int().positive(),
  openedAt: Moment,
  changedAt: Moment,
  by: z.string().max(128).nullable(),
  resolution: z.string().max(256),
  /** Equal for two findings that are the same. */
  fingerprint: z.string().max(128),
  /** The finding that a person dismissed: it opens nothing as long as it lasts. */
  muted: z.string().max(128).nullable(),
  text: z.string().max(1024),
  cause: z.string().max(1024),
  hint: z.string().max(1024),
  drift: Drift.nullable(),
  policy: SignalPolicy,
  remedy: z.strictObject({
    steps: z.array(RemedyStep).max(8),
    taken: z.int().nonnegative(),
    task: TaskId.nullable(),
    /** The task has not ended, as far as was seen. */
    isOpen: z.boolean(),
    /** When the newest order was given, or ended. */
    lastAt: Moment.nullable(),
    approvedBy: z.string().max(128).nullable(),
  }),
});
export type SignalRecord = z.infer<typeof SignalRecord>;

export const QuietRecord = z.strictObject({
  until: Moment,
  by: z.string().max(128),
  reason: z.string().max(256),
  /** Of the boot that is to end: it is over when another one is seen. Null: by the time alone. */
  bootId: z.uuid().nullable(),
});
export type QuietRecord = z.infer<typeof QuietRecord>;

export const signalRecords = (store: Store) => ({
  signals: collection(store, {
    prefix: 'signals',
    schema: SignalRecord,
    id: SignalId,
    version: 1,
  }),
  quiets: collection(store, { prefix: 'quiets', schema: QuietRecord, id: InstanceId, version: 1 }),
});

export const signalId = (instance: InstanceId, topic: SignalTopic): SignalId =>
  `${instance}.${topic}` as SignalId;

export const signalView = ({ record }: Pick<Found<SignalRecord>, 'record'>): Signal => {
  const { instance, topic, node, state, opening, by, resolution } = record;
  const { text, cause, hint, drift, policy, remedy } = record;
  const nextAt = nextStepAt(record);
  return {
    id: signalId(instance, topic),
    kind: SIGNAL_KINDS[topic],
    ...{ instance, node, state, opening, by, resolution, text, cause, hint, drift, policy },
    openedAt: isoTime(record.openedAt),
    changedAt: isoTime(record.changedAt),
    remedy: {
      state: remedyState(record),
      steps: remedy.steps,
      taken: remedy.taken,
      task: remedy.task,
      nextAt: nextAt === null ? null : isoTime(nextAt),
      approvedBy: remedy.approvedBy,
    },
  };
};

/** Whether no heartbeat is expected at `now`. */
export const isQuiet = (
  quiet: QuietRecord | null,
  instance: { readonly bootId: string | null },
  now: number,
): boolean =>
  quiet !== null &&
  quiet.until > now &&
  (quiet.bootId === null || quiet.bootId === instance.bootId);

export const quietView = (instance: InstanceId, quiet: QuietRecord | null): Quiet => ({
  instance,
  until: quiet === null ? null : isoTime(quiet.until),
  by: quiet?.by ?? '',
  reason: quiet?.reason ?? '',
});
