// Changes of instances by operators and by time: made, booted, ended. Each is one commit with its
// event; what may follow what is in lifecycle.ts.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { Register } from '../ca/register.ts';
import { COORDINATOR } from '../events/records.ts';
import { newInstanceId } from '../ids.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { closingSteps, stepChanges } from '../tasks/task-writes.ts';
import { dueDeadline, follow, isLive, mayEnroll } from './lifecycle.ts';
import { generationChanges } from './node-writes.ts';
import { enter, type InstanceRecord, type NodeRecord } from './records.ts';
import { advance } from './rules.ts';
import { revokeTokenChanges } from './token-writes.ts';

/** The node's instance, with its first boot ordered. CONFLICT while it has one; NOT_FOUND. */
export async function createInstance(
  records: Records,
  actor: string,
  name: NodeName,
): Promise<InstanceRecord> {
  const made = await transact(records.store, `node ${name}`, async () => {
    const node = await records.nodes.get(name);
    if (!node)
      throw new BilletError('NOT_FOUND', `no node ${name}`, { hint: `billet node create ${name}` });
    const { instance } = node.record;
    if (instance !== null)
      throw new BilletError('CONFLICT', `node ${name} has the instance ${instance}`, {
        hint: `billet instance show ${instance}; it has to be terminated before the next one`,
        details: { instance },
      });
    const record = freshInstance(records, node.record);
    return { changes: instanceCreated(records, actor, node, record), result: () => record };
  });
  return made as InstanceRecord;
}

/** A new instance of the node, at its generation, with its first boot ordered. Not yet written. */
export function freshInstance(records: Records, { name, generation }: NodeRecord): InstanceRecord {
  const record = newRecord(newInstanceId(), name, generation, records.clock.now());
  return advance(record, generation);
}

/** Part of a commit: the node has this new instance from now on. */
export const instanceCreated = (
  records: Records,
  actor: string,
  { record: node, revision }: Found<NodeRecord>,
  record: InstanceRecord,
): readonly Change[] => [
  records.instances.put(record.id, record, ABSENT),
  records.nodes.put(node.name, { ...node, instance: record.id }, revision),
  ...generationChanges(records, record, node.spec),
  told(records, actor, record.id, 'instance.created', `${record.id} was created for ${node.name}`),
];

const newRecord = (
  id: InstanceId,
  node: NodeName,
  generation: number,
  now: number,
): InstanceRecord => ({
  id,
  node,
  provider: 'manual',
  state: 'pending',
  reason: '',
  createdAt: now,
  stateSince: now,
  signalled: 0,
  generation,
  answer: 0,
  kept: [],
  goods: [],
  rejected: [],
  boot: { ordered: true, token: null },
  openTokens: [],
  facts: null,
  bootId: null,
  certificate: null,
});

/** Idempotent. CONFLICT when it may no longer enroll; NOT_FOUND. */
export async function orderBoot(
  records: Records,
  actor: string,
  id: InstanceId,
): Promise<InstanceRecord> {
  const ordered = await transact(records.store, `instance ${id}`, async () => {
    const found = (await records.instances.get(id)) ?? noInstance(id);
    if (!mayEnroll(found.record.state))
      throw new BilletError('CONFLICT', `${id} is ${found.record.state}`, {
        hint: `billet instance terminate ${id}, then billet instance create ${found.record.node}`,
      });
    if (found.record.boot.ordered) return null;
    const next = { ...found.record, boot: { ...found.record.boot, ordered: true } };
    return {
      changes: [
        records.instances.put(id, next, found.revision),
        told(records, actor, id, 'instance.boot_ordered', 'the next network boot gets a token'),
      ],
      result: () => next,
    };
  });
  return ordered ?? ((await records.instances.get(id)) ?? noInstance(id)).record;
}

export interface Ended {
  readonly record: InstanceRecord;
  /** Of the commit that revoked its certificates; null when there were none. */
  readonly revision: number | null;
}

/**
 * Revokes certificates, closes tokens and tasks, in one commit; the machine itself is the operator's
 * to switch off. Idempotent. NOT_FOUND.
 */
export async function terminate(
  { records, register }: { readonly records: Records; readonly register: Register },
  actor: string,
  id: InstanceId,
): Promise<Ended> {
  const ended = await transact(records.store, `instance ${id}`, async () => {
    const found = (await records.instances.get(id)) ?? noInstance(id);
    const now = records.clock.now();
    if (!isLive(found.record.state)) return null;
    const state = follow(found.record.state, 'terminating');
    const closed = { boot: { ordered: false, token: null }, openTokens: [], certificate: null };
    const next = { ...enter(found.record, state, now, `by ${actor}`), ...closed };
    const tokens = found.record.openTokens.map((token) => revokeTokenChanges(records, token));
    const order = { reason: 'cessationOfOperation', by: actor, now } as const;
    const revoked = await register.revokeInstance(id, order);
    return {
      changes: [
        records.instances.put(id, next, found.revision),
        ...revoked,
        ...(await Promise.all(tokens)).flat(),
        ...(await stepChanges(records, id, await closingSteps(records, actor, id))),
        told(records, actor, id, 'instance.terminating', `${id} was terminated`),
      ],
      result: (at: number): Ended => ({ record: next, revision: revoked.length > 0 ? at : null }),
    };
  });
  if (ended) return ended;
  return { record: ((await records.instances.get(id)) ?? noInstance(id)).record, revision: null };
}

/** Acts on the deadline of its state that is past, if one is. */
export async function meetDeadline(records: Records, id: InstanceId): Promise<void> {
  await transact(records.store, `instance ${id}`, async () => {
    const found = await records.instances.get(id);
    const now = records.clock.now();
    const due = found && dueDeadline(found.record, found.record.provider, now);
    if (!found || !due) return null;
    const { record, revision } = found;
    const text = `${due.reason}; ${due.hint.replaceAll('ID', id)}`;
    if (due.action === 'signal') {
      const next = { ...record, signalled: due.afterMs, reason: due.reason };
      return {
        changes: [
          records.instances.put(id, next, revision),
          told(records, COORDINATOR, id, 'instance.overdue', text),
        ],
        result: () => true,
      };
    }
    const state = due.action === 'fail' ? 'failed' : 'terminated';
    const next = enter(record, follow(record.state, state), now, due.reason);
    return {
      changes: [
        records.instances.put(id, next, revision),
        ...(state === 'terminated' ? await leaveNode(records, record) : []),
        told(records, COORDINATOR, id, `instance.${state}`, due.reason),
      ],
      result: () => true,
    };
  });
}

async function leaveNode(records: Records, record: InstanceRecord): Promise<readonly Change[]> {
  const node = await records.nodes.get(record.node);
  if (node?.record.instance !== record.id) return [];
  return [records.nodes.put(record.node, { ...node.record, instance: null }, node.revision)];
}

/** NOT_FOUND. */
export async function getInstance(
  records: Records,
  id: InstanceId,
): Promise<Found<InstanceRecord>> {
  return (await records.instances.get(id)) ?? noInstance(id);
}

const told = (records: Records, actor: string, id: InstanceId, kind: string, text: string) =>
  records.events.tell({ actor, kind, subject: `instance/${id}`, text });

function noInstance(id: InstanceId): never {
  throw new BilletError('NOT_FOUND', `no instance ${id}`, { hint: 'billet instance list' });
}
