// Notices of providers that they take a machine away, recorded and told. What follows from one is
// decided in provisioning/lost/rules.ts, and done by whoever leads there.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { isoTime } from '../ids.ts';
import type { Records } from '../records.ts';
import { transact } from '../store/transact.ts';
import { getInstance, told } from './instance-writes.ts';
import { isLive, isReplaceable } from './lifecycle.ts';
import type { InstanceRecord } from './records.ts';

export interface Noticed {
  readonly next: InstanceRecord;
  /** For the event `instance.preempted`. */
  readonly text: string;
}

/** The instance after its provider said so, at `now`; null when that says nothing new. */
export function preempted(record: InstanceRecord, endsAt: number, now: number): Noticed | null {
  const before = record.preemption;
  if (!isLive(record.state) || (before && before.endsAt <= endsAt)) return null;
  const then = nextOf(record);
  const text = `its provider takes the machine away at ${isoTime(endsAt)}; it is ${record.lifecycleClass}: ${then}`;
  return { next: { ...record, preemption: { noticedAt: now, endsAt } }, text };
}

function nextOf({ id, node, lifecycleClass, machine }: InstanceRecord): string {
  if (!isReplaceable(lifecycleClass)) return `a person decides: billet instance drain ${id}`;
  return machine === null
    ? `it is drained; then billet instance terminate ${id}, and billet instance create ${node} for another machine`
    : 'it is drained, and its node gets another one';
}

/** Idempotent; an earlier end replaces a later one. CONFLICT for what ends already; NOT_FOUND. */
export async function notePreemption(
  records: Records,
  actor: string,
  id: InstanceId,
  endsAt: number,
): Promise<InstanceRecord> {
  const noted = await transact(records.store, `instance ${id}`, async () => {
    const { record, revision } = await getInstance(records, id);
    if (!isLive(record.state))
      throw new BilletError('CONFLICT', `${id} is ${record.state}`, {
        hint: `billet instance show ${id}: it has no work that could be saved`,
      });
    const notice = preempted(record, endsAt, records.clock.now());
    if (notice === null) return null;
    const { next, text } = notice;
    return {
      changes: [
        records.instances.put(id, next, revision),
        told(records, actor, id, 'instance.preempted', text),
      ],
      result: () => next,
    };
  });
  return noted ?? (await getInstance(records, id)).record;
}
