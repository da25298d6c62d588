// What may be asked of a drain: pure functions of the instance, of its drain and of that drain's task.
// Reads nothing and writes nothing.

import { BilletError } from '#shared/errors.ts';
import type { DrainOrder } from '#shared/schema/drain.ts';
import { after } from '../nodes/lifecycle.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import { isOpen } from '../tasks/lease.ts';
import type { TaskRecord } from '../tasks/records.ts';
import type { DrainRecord } from './records.ts';

/** A drain, with the newest of its tasks as far as that is kept. */
export interface Draining {
  readonly record: DrainRecord;
  readonly task: TaskRecord | null;
}

/**
 * Whether this order is carried out, or under way, already. Throws CONFLICT for an instance that does
 * not run, and while another order is under way.
 */
export function isOrdered(
  instance: InstanceRecord,
  drain: Draining | null,
  order: DrainOrder,
): boolean {
  assertRuns(instance, 'drained');
  if (drain === null) return false;
  const { id } = instance;
  const { record, task } = drain;
  const isUnderWay = task !== null && isOpen(task);
  if (record.uncordon !== null && isUnderWay)
    throw new BilletError('CONFLICT', `${id} is being uncordoned: ${record.uncordon}`, {
      hint: `billet task show ${record.uncordon}; drain it when that is done, or cancel that task first`,
      details: { task: record.uncordon },
    });
  if (record.uncordon !== null) return false;
  const same = sameOrder(record.order, order);
  if (isUnderWay) {
    if (same) return true;
    throw new BilletError('CONFLICT', `${record.orderedBy} has ${id} drained otherwise already`, {
      hint: `billet instance show ${id}; or billet instance drain ${id} --cancel, then drain it again`,
      details: { task: record.task, order: record.order },
    });
  }
  return same && task?.state === 'succeeded' && (order.cordonOnly || instance.drained);
}

const sameOrder = (a: DrainOrder, b: DrainOrder) =>
  a.cordonOnly === b.cordonOnly && a.timeoutSeconds === b.timeoutSeconds;

/** The state once a drain is ordered: what is only cordoned runs on. */
export const ordered = ({ state }: InstanceRecord, { cordonOnly }: DrainOrder) =>
  cordonOnly ? state : after(state, 'drain');

/** CONFLICT unless it runs or is being drained. */
export function assertRuns({ id, state, node }: InstanceRecord, what: string): void {
  if (state === 'running' || state === 'draining') return;
  const isEnding = state === 'terminating' || state === 'terminated';
  throw new BilletError('CONFLICT', `${id} is ${state}: only what runs can be ${what}`, {
    hint: isEnding
      ? `billet node history ${node}`
      : `billet instance show ${id}; or billet instance terminate ${id}`,
    details: { state },
  });
}

/** What a new boot of the machine does to the drain: it stays in force, and has to be seen again. */
export const mustDrainAgain = ({ record, task }: Draining): boolean =>
  record.uncordon === null && task !== null && !isOpen(task) && task.state !== 'cancelled';
