// What the answer to a heartbeat needs to know of an instance, in memory and dropped at each change
// of what it was made of. A hint for nodes; what they fetch after it is read from the store.

import type { InstanceId } from '#shared/schema/ids.ts';
import type { InstanceState } from '#shared/schema/records.ts';
import { desiredEtag, newestGood } from '../nodes/rules.ts';
import type { Records } from '../records.ts';
import { isFree } from '../tasks/lease.ts';
import type { TaskRecord } from '../tasks/records.ts';
import { openTasks } from '../tasks/task-writes.ts';

export interface View {
  readonly state: InstanceState;
  /** ETag of its desired state. */
  readonly desired: string;
  readonly confirmed: number | null;
  readonly bootId: string | null;
  readonly tasks: readonly TaskRecord[];
}

export interface Views {
  /** Null when there is no such instance. */
  get(instance: InstanceId): Promise<View | null>;
  /** What `get` would give without a read; null when it would read. */
  known(instance: InstanceId): View | null;
  drop(instance: InstanceId): void;
  dropAll(): void;
}

/** Instances remembered; beyond, the one read longest ago is read again. */
const MAX = 200_000;

export function views(records: Records): Views {
  const known = new Map<InstanceId, View>();
  /** Reads under way: a change that comes in between makes their result old at birth. */
  const reading = new Map<InstanceId, symbol>();

  async function read(instance: InstanceId): Promise<View | null> {
    const [found, open] = await Promise.all([
      records.instances.get(instance),
      openTasks(records, instance),
    ]);
    if (!found) return null;
    const { record } = found;
    return {
      state: record.state,
      desired: desiredEtag(record, records.store.historyId),
      confirmed: newestGood(record),
      bootId: record.bootId,
      tasks: open.map((task) => task.record),
    };
  }

  return {
    async get(instance) {
      const cached = known.get(instance);
      if (cached) return cached;
      const mark = Symbol(instance);
      reading.set(instance, mark);
      const view = await read(instance);
      if (reading.get(instance) !== mark) return view;
      reading.delete(instance);
      if (view) known.set(instance, view);
      const [oldest] = known.keys();
      if (known.size > MAX && oldest !== undefined) known.delete(oldest);
      return view;
    },
    known: (instance) => known.get(instance) ?? null,
    drop(instance) {
      known.delete(instance);
      reading.delete(instance);
    },
    dropAll() {
      known.clear();
      reading.clear();
    },
  };
}

/** Tasks that a lease would be given for at `now`. */
export const waitingTasks = (view: View, now: number): number =>
  view.tasks.filter((task) => isFree(task, now, view.bootId)).length;
