// What the coordinator stores of drains, and how one becomes what operators see. Decides nothing.

import { z } from 'zod';
import { type Drain, DrainOrder, DrainReport, type DrainState } from '#shared/schema/drain.ts';
import { InstanceId, TaskId } from '#shared/schema/ids.ts';
import { isoTime } from '../ids.ts';
import { collection } from '../store/collection.ts';
import type { Store } from '../store/store.ts';
import { isOpen } from '../tasks/lease.ts';
import type { TaskRecord } from '../tasks/records.ts';

/** From the order until it is taken back or the instance ends: whether it holds for the next boot, too. */
export const DrainRecord = z.strictObject({
  order: DrainOrder,
  orderedAt: z.int().nonnegative(),
  orderedBy: z.string().max(128),
  /** The newest one that carries it out. */
  task: TaskId,
  /** The one that takes it back; null before that is asked for. */
  uncordon: TaskId.nullable(),
  /** Of its newest end. */
  report: DrainReport.nullable(),
});
export type DrainRecord = z.infer<typeof DrainRecord>;

export const drainRecords = (store: Store) => ({
  drains: collection(store, {
    prefix: 'drains',
    schema: DrainRecord,
    id: InstanceId,
    version: 1,
  }),
});

/** A task that is no longer kept had ended long ago: what it reported says how. */
export function drainView(record: DrainRecord, task: TaskRecord | null): Drain {
  const { order, report } = record;
  return {
    state: stateOf(record, task),
    ...order,
    orderedAt: isoTime(record.orderedAt),
    orderedBy: record.orderedBy,
    task: record.uncordon ?? record.task,
    message: task?.result?.outcome === 'failed' ? (task.result.message ?? null) : null,
    report,
  };
}

function stateOf({ order, uncordon, report }: DrainRecord, task: TaskRecord | null): DrainState {
  if (uncordon !== null) return task === null || isOpen(task) ? 'uncordoning' : 'incomplete';
  const end = order.cordonOnly ? 'cordoned' : 'drained';
  switch (task?.state) {
    case 'pending':
      return 'waiting';
    case 'leased':
      return 'draining';
    case 'succeeded':
      return end;
    case 'failed':
      return 'incomplete';
    case 'cancelled':
      return 'cancelled';
    case undefined:
      return report?.empty || order.cordonOnly ? end : 'incomplete';
  }
}
