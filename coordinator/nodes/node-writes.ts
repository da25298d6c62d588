// Changes of nodes: each one commit of the node, its machine index, its instance's next generation
// and the event. What a generation is, is decided in rules.ts and desired.ts.

import { isDeepStrictEqual } from 'node:util';
import { BilletError } from '#shared/errors.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import type { NodeSpec } from '#shared/schema/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { desiredEnvelope } from './desired.ts';
import { isLive } from './lifecycle.ts';
import { generationKey, type InstanceRecord, machineKeys, type NodeRecord } from './records.ts';
import { advance } from './rules.ts';

/** The same name and spec again returns the node that is there. CONFLICT for another spec. */
export async function createNode(
  records: Records,
  actor: string,
  wanted: { readonly name: NodeName; readonly spec: NodeSpec },
): Promise<Found<NodeRecord>> {
  const { name, spec } = wanted;
  const existing = await records.nodes.get(name);
  if (existing && isDeepStrictEqual(existing.record.spec, spec)) return existing;
  const record: NodeRecord = {
    name,
    spec,
    generation: 1,
    instance: null,
    lives: 0,
    createdAt: records.clock.now(),
  };
  const done = await transact(records.store, `node ${name}`, async () => {
    if (await records.nodes.get(name))
      throw new BilletError('CONFLICT', `node ${name} exists, with another spec`, {
        hint: `choose another name, or change it with PUT /v1/nodes/${name}/spec`,
      });
    return {
      changes: [
        records.nodes.put(name, record, ABSENT),
        ...(await indexChanges(records, name, [], machineKeys(spec))),
        records.events.tell({
          actor,
          kind: 'node.created',
          subject: `node/${name}`,
          text: `node ${name} was created`,
        }),
      ],
      result: (revision) => ({ id: name, record, revision }),
    };
  });
  return done ?? absent(name);
}

/**
 * The next generation of a node, and of its live instance. The same spec again changes nothing.
 * CONFLICT when the node has another one and is no longer at revision `ifMatch`.
 */
export async function putNodeSpec(
  records: Records,
  actor: string,
  wanted: { readonly name: NodeName; readonly spec: NodeSpec; readonly ifMatch: number | null },
): Promise<Found<NodeRecord>> {
  const { name, spec, ifMatch } = wanted;
  const done = await transact(records.store, `node ${name}`, async () => {
    const found = (await records.nodes.get(name)) ?? absent(name);
    // Before the condition (RFC 9110 §13.1.1): the change may be there already, its answer lost.
    if (isDeepStrictEqual(found.record.spec, spec)) return null;
    assertRevision(found, ifMatch);
    assertClass(found.record, spec);
    const record = { ...found.record, spec, generation: found.record.generation + 1 };
    return {
      changes: [
        records.nodes.put(name, record, found.revision),
        ...(await indexChanges(records, name, machineKeys(found.record.spec), machineKeys(spec))),
        ...(await instanceChanges(records, record)),
        records.events.tell({
          actor,
          kind: 'node.changed',
          subject: `node/${name}`,
          text: `node ${name} should be generation ${record.generation}`,
          details: { generation: record.generation },
        }),
      ],
      result: (revision: number) => ({ id: name, record, revision }),
    };
  });
  return done ?? (await records.nodes.get(name)) ?? absent(name);
}

/** CONFLICT while it has a live instance; NOT_FOUND. */
export async function deleteNode(records: Records, actor: string, name: NodeName): Promise<void> {
  await transact(records.store, `node ${name}`, async () => {
    const found = (await records.nodes.get(name)) ?? absent(name);
    const { instance, spec } = found.record;
    if (instance !== null)
      throw new BilletError('CONFLICT', `node ${name} has the instance ${instance}`, {
        hint: `billet instance terminate ${instance}`,
        details: { instance },
      });
    return {
      changes: [
        records.nodes.drop(name, found.revision),
        ...(await indexChanges(records, name, machineKeys(spec), [])),
        records.events.tell({
          actor,
          kind: 'node.deleted',
          subject: `node/${name}`,
          text: `node ${name} was deleted`,
        }),
      ],
      result: () => true,
    };
  });
}

/** The bytes of the record's generation, and the instance that is to have them. */
export function generationChanges(
  records: Records,
  instance: InstanceRecord,
  spec: NodeSpec,
): readonly Change[] {
  const { id, node, generation } = instance;
  const history = records.store.historyId;
  const envelope = desiredEnvelope({ history, instance: id, node, generation, spec });
  return [records.desired.put(generationKey(id, generation), envelope, ABSENT)];
}

/** Deletes the bytes that `next` no longer keeps. */
export async function forgetChanges(
  records: Records,
  before: InstanceRecord,
  next: InstanceRecord,
): Promise<readonly Change[]> {
  const gone = before.kept.filter((generation) => !next.kept.includes(generation));
  const found = await Promise.all(
    gone.map((generation) => records.desired.get(generationKey(before.id, generation))),
  );
  return found.flatMap((one) => (one ? [records.desired.drop(one.id, one.revision)] : []));
}

async function instanceChanges(records: Records, node: NodeRecord): Promise<readonly Change[]> {
  const found = node.instance === null ? null : await records.instances.get(node.instance);
  if (!found || !isLive(found.record.state)) return [];
  const next = advance(found.record, node.generation);
  return [
    records.instances.put(found.id, next, found.revision),
    ...generationChanges(records, next, node.spec),
    ...(await forgetChanges(records, found.record, next)),
  ];
}

/** One machine belongs to one node. CONFLICT, naming both. */
async function indexChanges(
  records: Records,
  node: NodeName,
  before: readonly string[],
  after: readonly string[],
): Promise<readonly Change[]> {
  const changes: Change[] = [];
  for (const key of before.filter((one) => !after.includes(one))) {
    const found = await records.machines.get(key);
    if (found) changes.push(records.machines.drop(key, found.revision));
  }
  for (const key of after.filter((one) => !before.includes(one))) {
    const found = await records.machines.get(key);
    if (found)
      throw new BilletError('CONFLICT', `the machine ${key} belongs to node ${found.record.node}`, {
        hint: `take it out of the spec of ${found.record.node} first`,
        details: { machine: key, node: found.record.node },
      });
    changes.push(records.machines.put(key, { node }, ABSENT));
  }
  return changes;
}

function assertRevision(found: Found<NodeRecord>, ifMatch: number | null): void {
  if (ifMatch !== null && ifMatch !== found.revision)
    throw new BilletError('CONFLICT', `node ${found.id} is at revision ${found.revision}`, {
      hint: 'read it again, and decide again',
      details: { revision: found.revision },
    });
}

/** What a lost instance means was promised to whoever works on it. CLASS_FIXED. */
function assertClass({ name, lives, spec }: NodeRecord, wanted: NodeSpec): void {
  if (lives === 0 || spec.lifecycleClass === wanted.lifecycleClass) return;
  throw new BilletError(
    'CLASS_FIXED',
    `node ${name} has had an instance, and is ${spec.lifecycleClass}, not ${wanted.lifecycleClass}`,
    {
      hint: 'create another node of that class, and move there what runs on this one',
      details: { lifecycleClass: spec.lifecycleClass },
    },
  );
}

function absent(name: NodeName): never {
  throw new BilletError('NOT_FOUND', `no node ${name}`, { hint: 'billet node list' });
}
