// What a node's reports and boots make of its drain: parts of the commits that record them.

import type { InstanceId } from '#shared/schema/ids.ts';
import { COORDINATOR } from '../events/records.ts';
import { told } from '../nodes/instance-writes.ts';
import { after } from '../nodes/lifecycle.ts';
import { enter, type InstanceRecord } from '../nodes/records.ts';
import type { Records } from '../records.ts';
import type { Change } from '../store/collection.ts';
import type { TaskRecord } from '../tasks/records.ts';
import { newTask } from '../tasks/task-writes.ts';
import { DRAIN_ATTEMPTS } from './drain-writes.ts';
import { mustDrainAgain } from './rules.ts';

/** Of the end of a task, for the commit that records it; none for tasks of other kinds. */
export async function drainEnded(records: Records, task: TaskRecord): Promise<readonly Change[]> {
  const { kind } = task.spec;
  if (kind !== 'drain' && kind !== 'uncordon') return [];
  const [found, drain] = await Promise.all([
    records.instances.get(task.instance),
    records.drains.get(task.instance),
  ]);
  if (!found || !drain) return [];
  const { id, record: instance, revision } = found;
  const now = records.clock.now();
  const changed = (next: InstanceRecord, kindOfEvent: string, text: string): readonly Change[] => [
    records.instances.put(id, next, revision),
    told(records, COORDINATOR, instance.id, `instance.${kindOfEvent}`, text),
  ];
  if (drain.record.uncordon === task.id) {
    if (task.state !== 'succeeded') return [];
    const state = after(instance.state, 'resume');
    const next = { ...enter(instance, state, now), drained: false };
    return [
      records.drains.drop(id, drain.revision),
      ...changed(next, 'uncordoned', `${id} takes work again`),
    ];
  }
  if (drain.record.task !== task.id || drain.record.uncordon !== null) return [];
  const report = task.result?.drain ?? null;
  const kept = records.drains.put(id, { ...drain.record, report }, drain.revision);
  if (task.state !== 'succeeded') {
    const left = report?.stayed.map(({ name }) => name).join(', ') || 'it is not known what';
    const text = `${id} is not empty: ${left}`;
    return [kept, told(records, COORDINATOR, instance.id, 'instance.drain_incomplete', text)];
  }
  if (drain.record.order.cordonOnly)
    return [
      kept,
      told(records, COORDINATOR, instance.id, 'instance.cordoned', `${id} is cordoned`),
    ];
  if (report?.empty !== true || instance.state !== 'draining') return [kept];
  return [kept, ...changed({ ...instance, drained: true }, 'drained', `${id} was seen empty`)];
}

/**
 * The machine has booted anew, so that nothing is proven of it any more: the drain goes on. Its new
 * task, and the writes beside it; null where there is none to go on with.
 */
export async function drainAgain(
  records: Records,
  instance: InstanceId,
): Promise<{ readonly task: TaskRecord; readonly changes: readonly Change[] } | null> {
  const drain = await records.drains.get(instance);
  if (!drain) return null;
  const { record } = drain;
  const last = await records.tasks.get(record.task);
  if (!mustDrainAgain({ record, task: last?.record ?? null })) return null;
  const spec = { kind: 'drain', ...record.order } as const;
  const task = newTask(records, COORDINATOR, { instance, spec, attemptsMax: DRAIN_ATTEMPTS });
  const next = { ...record, task: task.id, report: null };
  return { task, changes: [records.drains.put(instance, next, drain.revision)] };
}
