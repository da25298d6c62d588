// Instances of which no heartbeat is expected for a while: told by a person, or by a task that reboots
// them. Each is one commit with its event.

import type { InstanceId } from '#shared/schema/ids.ts';
import { isoTime } from '../ids.ts';
import { getInstance } from '../nodes/instance-writes.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import type { TaskRecord } from '../tasks/records.ts';
import { isQuiet, type QuietRecord } from './records.ts';

export interface QuietOrder {
  readonly actor: string;
  /** 0 ends it. */
  readonly seconds: number;
  readonly reason: string;
}

/** What holds from now on; null when a heartbeat is expected. NOT_FOUND. */
export async function quietInstance(
  records: Records,
  id: InstanceId,
  { actor, seconds, reason }: QuietOrder,
): Promise<QuietRecord | null> {
  const until = records.clock.now() + seconds * 1000;
  const quiet: QuietRecord | null =
    seconds === 0 ? null : { until, by: actor, reason, bootId: null };
  await transact(records.store, `quiet of ${id}`, async () => {
    await getInstance(records, id);
    const before = await records.quiets.get(id);
    if (quiet === null && before === null) return null;
    const why = reason === '' ? '' : `: ${reason}`;
    const text =
      quiet === null
        ? 'is expected to be heard again'
        : `is expected to be quiet until ${isoTime(until)}${why}`;
    return {
      changes: [
        quiet === null
          ? records.quiets.drop(id, before?.revision ?? ABSENT)
          : records.quiets.put(id, quiet, before?.revision ?? ABSENT),
        records.events.tell({ actor, kind: 'instance.quiet', subject: `instance/${id}`, text }),
      ],
      result: () => true,
    };
  });
  return quiet;
}

/** What holds now, or null. NOT_FOUND. */
export async function quietOf(records: Records, id: InstanceId): Promise<QuietRecord | null> {
  const [{ record }, quiet] = await Promise.all([getInstance(records, id), records.quiets.get(id)]);
  return quiet && isQuiet(quiet.record, record, records.clock.now()) ? quiet.record : null;
}

/**
 * Part of the commit that leases reboots: the boot that is to end may be silent until the lease runs
 * out. What a person said for longer stays.
 */
export async function rebootQuiet(
  records: Records,
  id: InstanceId,
  taken: readonly { readonly next: TaskRecord }[],
): Promise<readonly Change[]> {
  const reboot = taken.find(({ next }) => next.spec.kind === 'reboot')?.next;
  const until = reboot?.leaseExpiresAt ?? null;
  if (reboot === undefined || until === null) return [];
  const before = await records.quiets.get(id);
  if (before && before.record.until >= until) return [];
  const { bootId } = reboot;
  const quiet = { until, by: `task:${reboot.id}`, reason: 'it is to reboot', bootId };
  return [records.quiets.put(id, quiet, before?.revision ?? ABSENT)];
}
