// What the holder of tasks does to them: take, hold, report. The rules are in lease.ts.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, TaskId } from '#shared/schema/ids.ts';
import type { TaskOutcome } from '#shared/schema/task.ts';
import { drainEnded } from '../drain/drain-news.ts';
import { nodeActor } from '../events/records.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import { rebootQuiet } from '../signals/quiet-writes.ts';
import type { Change, Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { finish, isUnheard, renew, seenBoot, take } from './lease.ts';
import type { TaskRecord } from './records.ts';
import { getTask, openTasks, settlingSteps, stepChanges, type TaskStep } from './task-writes.ts';

/**
 * Up to `max` tasks, each under a new lease; or, for a boot that holds nothing, those that it was
 * given in a reply that got lost, under the lease that they have. Taking a reboot orders a boot in the same commit, so
 * that a machine without a surviving key gets a token when it comes back.
 */
export async function leaseTasks(
  records: Records,
  instance: InstanceId,
  { max, bootId: asking }: { readonly max: number; readonly bootId?: string | undefined },
): Promise<readonly TaskRecord[]> {
  let unheard: readonly TaskRecord[] = [];
  const leased = await transact(records.store, `tasks of ${instance}`, async () => {
    const now = records.clock.now();
    const [found, open] = await Promise.all([
      records.instances.get(instance),
      openTasks(records, instance),
    ]);
    if (!found) return null;
    // What the boot says of itself comes before the heartbeat that has yet to say it.
    const bootId = asking ?? found.record.bootId;
    unheard = open.flatMap(({ record }) =>
      asking !== undefined && isUnheard(record, now, asking) ? [record] : [],
    );
    if (unheard.length > 0) return null;
    const taken = open
      .flatMap((task) => {
        const next = take(task.record, now, bootId);
        return next ? [step(task, next, 'task.leased', `was leased, attempt ${next.epoch}`)] : [];
      })
      .slice(0, max);
    const steps = [...settlingSteps(open, now), ...taken];
    if (steps.length === 0) return null;
    return {
      changes: [
        ...(await stepChanges(records, instance, steps)),
        ...(taken.some(({ next }) => next.spec.kind === 'reboot')
          ? [...orderBootChanges(records, found), ...(await rebootQuiet(records, instance, taken))]
          : []),
      ],
      result: () => taken.map(({ next }) => next),
    };
  });
  return leased ?? unheard.slice(0, max);
}

/** The task, held for longer or cancelled. LEASE_LOST; NOT_FOUND. A plain renewal is no event. */
export async function renewTask(
  records: Records,
  holder: InstanceId,
  id: TaskId,
  epoch: number,
): Promise<TaskRecord> {
  const renewed = await transact(records.store, `task ${id}`, async () => {
    const found = await ownTask(records, holder, id);
    const next = renew(found.record, epoch, records.clock.now());
    if (next === found.record) return null;
    return { changes: [records.tasks.put(id, next, found.revision)], result: () => next };
  });
  return renewed ?? (await getTask(records, id)).record;
}

/** The task as it stands after the report. LEASE_LOST; NOT_FOUND. Safe to send again. */
export async function reportTask(
  records: Records,
  holder: InstanceId,
  id: TaskId,
  report: { readonly epoch: number; readonly result: TaskOutcome },
): Promise<TaskRecord> {
  const reported = await transact(records.store, `task ${id}`, async () => {
    const found = await ownTask(records, holder, id);
    const next = finish(found.record, report.epoch, report.result, records.clock.now());
    if (next === found.record) return null;
    const why = next.result?.message ? `: ${next.result.message}` : '';
    return {
      changes: [
        ...(await stepChanges(records, holder, [
          step(found, next, `task.${next.state}`, `${next.state}${why}`),
        ])),
        ...(await drainEnded(records, next)),
      ],
      result: () => next,
    };
  });
  return reported ?? (await getTask(records, id)).record;
}

/** The steps of reboots that the sight of `bootId` completes. */
export async function bootSteps(
  records: Records,
  instance: InstanceId,
  bootId: string,
): Promise<readonly TaskStep[]> {
  const now = records.clock.now();
  return (await openTasks(records, instance)).flatMap((found) => {
    const next = seenBoot(found.record, bootId, now);
    return next === found.record
      ? []
      : [step(found, next, 'task.succeeded', 'succeeded: a new boot id was seen')];
  });
}

/** Another node's task and no task look alike from outside. */
async function ownTask(
  records: Records,
  holder: InstanceId,
  id: TaskId,
): Promise<Found<TaskRecord>> {
  const found = await records.tasks.get(id);
  if (found?.record.instance === holder) return found;
  throw new BilletError('NOT_FOUND', `no task ${id} for ${holder}`, { hint: 'drop the result' });
}

function orderBootChanges(records: Records, found: Found<InstanceRecord>): readonly Change[] {
  const boot = { ...found.record.boot, ordered: true };
  return [records.instances.put(found.id, { ...found.record, boot }, found.revision)];
}

const step = (
  found: Found<TaskRecord>,
  next: TaskRecord,
  kind: string,
  what: string,
): TaskStep => ({
  found,
  next,
  news: { actor: nodeActor(next.instance), kind, text: `${next.spec.kind} ${what}` },
});
