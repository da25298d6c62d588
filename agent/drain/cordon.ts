// What the node remembers of a drain, on disk, so that it holds through crashes and boots and can be
// taken back: what is kept from running, and what was stopped. Stops nothing itself.

import { join } from 'node:path';
import { z } from 'zod';
import type { BilletError } from '#shared/errors.ts';
import { TaskId } from '#shared/schema/ids.ts';
import { lostBy, readChecked, setAside, writeChecked } from '../checked-file.ts';
import { removeFile } from '../drivers/files.ts';
import type { Held } from '../reconcile/world.ts';

const CordonRecord = z.object({
  held: z.enum(['new', 'all']),
  /** The newest one; null where the file was damaged. */
  task: TaskId.nullable(),
  /** When this node took that task up, Unix milliseconds: its time goes on through a crash. */
  begunAt: z.int().nonnegative(),
  /** Units of the container engine that it stopped, in order. */
  units: z.array(z.string()),
  /** The node of a cluster that it made unschedulable. */
  clusterNode: z.string().nullable(),
});
export type CordonRecord = z.infer<typeof CordonRecord>;

export interface Cordon {
  readonly record: CordonRecord | null;
  /** What is kept from running now. */
  readonly held: Held;
  readonly damage: readonly BilletError[];
  /** Durable when it resolves. Throws STORE_FULL, STORE_FAILED. */
  set(record: CordonRecord): Promise<void>;
  /** Nothing is kept from running any more. */
  lift(): Promise<void>;
}

/**
 * A damaged file holds everything: what was drained may run elsewhere by now, and a person can lift it.
 */
export async function openCordon(stateDir: string): Promise<Cordon> {
  const path = join(stateDir, 'cordon.json');
  const found = await readChecked(path, CordonRecord);
  const damage: BilletError[] = [];
  let record = found.kind === 'whole' ? found.value : null;
  if (found.kind === 'damaged') {
    await setAside(path);
    record = { held: 'all', task: null, begunAt: 0, units: [], clusterNode: null };
    await writeChecked(path, record);
    damage.push(lostBy(found.damage, 'nothing is attached until the instance is uncordoned'));
  }
  return {
    get record() {
      return record;
    },
    get held() {
      return record?.held ?? 'nothing';
    },
    damage,
    async set(next) {
      await writeChecked(path, next);
      record = next;
    },
    async lift() {
      await removeFile(path);
      record = null;
    },
  };
}
