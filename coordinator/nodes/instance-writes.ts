// Changes of instances by operators: made, and booted. Each is one commit with its event; what may
// follow what is in lifecycle.ts, and how they end in instance-end.ts.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { newInstallEventId, newInstanceId } from '../ids.ts';
import { firstOrder } from '../installs/rules.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { mayEnroll } from './lifecycle.ts';
import { generationChanges } from './node-moves.ts';
import type { InstanceRecord, NodeRecord } from './records.ts';
import { advance } from './rules.ts';

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
    assertFree(node.record);
    const record = freshInstance(records, node.record);
    return { changes: instanceCreated(records, actor, node, record), result: () => record };
  });
  return made as InstanceRecord;
}

/** One instance a node. CONFLICT, naming the one that there is. */
export function assertFree({ name, instance }: NodeRecord): void {
  if (instance === null) return;
  throw new BilletError('CONFLICT', `node ${name} has the instance ${instance}`, {
    hint: `billet instance show ${instance}; it has to be terminated before the next one`,
    details: { instance },
  });
}

/** What an instance is made for: a node, or a warm pool. */
export type Subject = Pick<NodeRecord, 'name' | 'generation' | 'derived'>;

/**
 * A new instance of the node, at its generation, with its first boot ordered; `provided` by a
 * provider, or else by a person. Not yet written.
 */
export function freshInstance(
  records: Records,
  node: Subject,
  provided?: Pick<InstanceRecord, 'provider' | 'machine'>,
): InstanceRecord {
  const record = { ...newRecord(newInstanceId(), node, records.clock.now()), ...provided };
  return advance(record, node.generation);
}

/** Part of a commit: the node has this new instance from now on. */
export const instanceCreated = (
  records: Records,
  actor: string,
  { record: node, revision }: Found<NodeRecord>,
  record: InstanceRecord,
): readonly Change[] => [
  records.instances.put(record.id, record, ABSENT),
  records.nodes.put(node.name, { ...node, instance: record.id, lives: node.lives + 1 }, revision),
  ...generationChanges(records, record, node.derived),
  ...operationChanges(records, record),
  told(records, actor, record.id, 'instance.created', `${record.id} was created for ${node.name}`),
];

/** What finds the machine of an instance, from before the first call to its provider on. */
export const operationChanges = (
  records: Records,
  { id, node, provider, machine }: InstanceRecord,
): readonly Change[] =>
  machine === null
    ? []
    : [
        records.operations.put(
          machine.operation,
          { instance: id, provider, region: machine.region },
          ABSENT,
        ),
        // Over the network it is known by its own UUID.
        ...(machine.shape.boot === 'network'
          ? [records.machines.put(machine.uuid, { node }, ABSENT)]
          : []),
      ];

const newRecord = (
  id: InstanceId,
  { name, generation, derived }: Subject,
  now: number,
): InstanceRecord => ({
  id,
  node: name,
  pool: null,
  provider: 'manual',
  lifecycleClass: derived.lifecycleClass,
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
  drained: false,
  replace: false,
  preemption: null,
  machine: null,
  install: firstOrder(newInstallEventId(), derived, now),
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

/** NOT_FOUND. */
export async function getInstance(
  records: Records,
  id: InstanceId,
): Promise<Found<InstanceRecord>> {
  return (await records.instances.get(id)) ?? noInstance(id);
}

export const told = (records: Records, actor: string, id: InstanceId, kind: string, text: string) =>
  records.events.tell({ actor, kind, subject: `instance/${id}`, text });

export function noInstance(id: InstanceId): never {
  throw new BilletError('NOT_FOUND', `no instance ${id}`, { hint: 'billet instance list' });
}
