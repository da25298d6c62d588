// Reads the drain of an instance, as operators see it.

import type { Drain } from '#shared/schema/drain.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Records } from '../records.ts';
import { drainView } from './records.ts';

/** Null where none was ordered, or it was taken back. */
export async function drainOf(records: Records, instance: InstanceId): Promise<Drain | null> {
  const found = await records.drains.get(instance);
  if (!found) return null;
  const { record } = found;
  const task = await records.tasks.get(record.uncordon ?? record.task);
  return drainView(record, task?.record ?? null);
}
