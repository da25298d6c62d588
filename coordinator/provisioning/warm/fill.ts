// Keeps warm pools at their number: makes what is missing and ends what is too much or outdated, each
// in one commit, by whoever leads. The machines themselves are made as all others are, by drive.ts;
// what is to be done is decided in plan.ts.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, ResourceName } from '#shared/schema/ids.ts';
import type { Revocations } from '../../ca/revocation.ts';
import { COORDINATOR } from '../../events/records.ts';
import { newInstanceId } from '../../ids.ts';
import { orderOf } from '../../installs/rules.ts';
import type { Log } from '../../log.ts';
import { desiredEnvelope } from '../../nodes/desired.ts';
import { type EndDeps, endDraft } from '../../nodes/instance-end.ts';
import { freshInstance, operationChanges, told } from '../../nodes/instance-writes.ts';
import { generationChanges } from '../../nodes/node-moves.ts';
import { generationKey, type InstanceRecord, newMachine } from '../../nodes/records.ts';
import type { Providers } from '../../providers/provider.ts';
import type { Records } from '../../records.ts';
import { ABSENT, commitAll } from '../../store/collection.ts';
import type { Condition } from '../../store/store.ts';
import { transact } from '../../store/transact.ts';
import { type Room, roomFor } from '../quota.ts';
import { planPool, type Waiting } from './plan.ts';
import {
  isPlaced,
  type PoolSubject,
  poolSubject,
  WARM_GENERATION,
  warmSubject,
} from './subject.ts';

export interface FillDeps extends EndDeps {
  readonly revocations: Pick<Revocations, 'reached'>;
  readonly providers: Providers;
  readonly log: Log;
}

/** One step of every pool, to be called often. Tells once, in this process, why one is not filled. */
export function poolFiller(
  deps: FillDeps,
): (lead: Condition, signal: AbortSignal) => Promise<void> {
  const { records, log } = deps;
  const told = new Map<ResourceName, string>();
  return async (lead, signal) => {
    for (const [pool, members] of await pools(records)) {
      if (signal.aborted) return;
      try {
        await fill(deps, pool, members, lead);
        told.delete(pool);
      } catch (error) {
        if (!(error instanceof BilletError) || !UNFIT.has(error.code)) throw error;
        if (told.get(pool) === error.code) continue;
        told.set(pool, error.code);
        log.warn('a warm pool is not filled', { pool, code: error.code, why: error.message });
        await commitAll(records.store, [notFilled(records, pool, error)]);
      }
    }
  };
}

/** What stands between one pool and its number, and does not concern the others. */
const UNFIT: ReadonlySet<string> = new Set([
  ...['BODY_INVALID', 'NETBOOT_IMAGE_MISSING', 'NOT_FOUND', 'REFERENCE_INVALID', 'STORE_LIMIT'],
  ...['PROVIDER_DISABLED', 'PROVIDER_QUOTA', 'CONTENDED'],
]);

const notFilled = (records: Records, pool: ResourceName, { code, message, hint }: BilletError) =>
  records.events.tell({
    actor: COORDINATOR,
    kind: 'pool.not_filled',
    subject: `pool/${pool}`,
    text: `the pool ${pool} is not kept warm: ${code}: ${message}; ${hint}`,
    details: { code },
  });

/** Every pool that should have warm instances, or has some. */
async function pools(
  records: Records,
): Promise<ReadonlyMap<ResourceName, readonly InstanceRecord[]>> {
  const found = new Map<ResourceName, InstanceRecord[]>();
  for await (const { record } of records.catalog.pool.all())
    if (record.spec.warm > 0 && !record.leaving) found.set(record.name, []);
  for await (const { id, record } of records.warm.all()) {
    const instance = await records.instances.get(id as InstanceId);
    if (!instance) continue;
    const members = found.get(record.pool);
    if (members) members.push(instance.record);
    else found.set(record.pool, [instance.record]);
  }
  return found;
}

async function fill(
  deps: FillDeps,
  pool: ResourceName,
  members: readonly InstanceRecord[],
  lead: Condition,
): Promise<void> {
  const { records, providers } = deps;
  const known = await records.catalog.pool.get(pool);
  const wanted = known && !known.record.leaving ? known.record.spec.warm : 0;
  const subject = wanted === 0 ? null : await poolSubject(records, pool);
  const waiting: Waiting[] = [];
  for (const one of members)
    waiting.push({ ...one, current: subject !== null && (await isCurrent(records, one, subject)) });
  const provider = subject && providers.get(subject.placement.provider);
  const room = provider ? await roomFor(records, provider, subject.placement.region) : NO_ROOM;
  const { make, end } = planPool(wanted, waiting, room.free);
  for (const id of end) await endWarm(deps, id, lead);
  if (subject) for (let n = 0; n < make; n += 1) await makeWarm(records, pool, subject, lead);
  const missing = wanted - members.length;
  if (subject && missing > make) throw noRoom(room, missing - make);
}

/** Desired state is made in one way only, so equal bytes are equal wishes. */
async function isCurrent(
  records: Records,
  record: InstanceRecord,
  { derived, placement }: PoolSubject,
): Promise<boolean> {
  if (!isPlaced(record, placement)) return false;
  const { id: instance, node, generation } = record;
  const has = await records.desired.get(generationKey(instance, generation));
  const history = records.store.historyId;
  const install = orderOf(record.install, derived.install);
  const wanted = desiredEnvelope({
    ...{ history, instance, node, generation: WARM_GENERATION, derived, install },
  });
  return has?.record.payload === wanted.payload;
}

async function makeWarm(
  records: Records,
  pool: ResourceName,
  { derived, placement }: PoolSubject,
  lead: Condition,
): Promise<void> {
  const id = newInstanceId();
  const machine = newMachine(placement, null);
  const provided = { provider: placement.provider, machine };
  const fresh = freshInstance(records, warmSubject(id, derived), provided);
  // Whatever its nodes will be: nothing is on it yet that a person would miss.
  const record: InstanceRecord = { ...fresh, id, pool, lifecycleClass: 'ephemeral' };
  await transact(records.store, `pool ${pool}`, async () => ({
    changes: [
      records.instances.put(id, record, ABSENT),
      records.warm.put(id, { pool }, ABSENT),
      ...generationChanges(records, record, derived),
      ...operationChanges(records, record),
      told(records, COORDINATOR, id, 'instance.created', `${id} was created for the pool ${pool}`),
    ],
    conditions: [lead],
    result: () => true,
  }));
}

/** Only while it waits: what a node has claimed meanwhile is that node's. */
async function endWarm(deps: FillDeps, id: InstanceId, lead: Condition): Promise<void> {
  const { records } = deps;
  const ended = await transact(records.store, `instance ${id}`, async () => {
    const found = await records.instances.get(id);
    if (!found || found.record.pool === null || found.record.state === 'terminating') return null;
    const reason = `no longer what the pool ${found.record.pool} keeps warm`;
    const news = { actor: COORDINATOR, reason, replace: false, abandon: false };
    return { ...(await endDraft(deps, found, news)), conditions: [lead] };
  });
  if (ended && ended.revision !== null) await deps.revocations.reached(ended.revision);
}

const NO_ROOM: Room = { free: 0, limit: 'nobody', hint: 'look at billet provider list' };

const noRoom = ({ limit, hint }: Room, missing: number) =>
  new BilletError('PROVIDER_QUOTA', `${limit} has no room for ${missing} warm instances`, {
    hint: `lower warm, terminate instances, or ${hint}`,
  });
