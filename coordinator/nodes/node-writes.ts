// Changes of nodes: each one commit of the node, its machine index, its instance's next generation
// and the event. What a generation is, is decided in rules.ts and desired.ts.

import { isDeepStrictEqual } from 'node:util';
import { BilletError } from '#shared/errors.ts';
import { InstanceId, type NodeName, type ResourceName } from '#shared/schema/ids.ts';
import type { NodeSpec } from '#shared/schema/records.ts';
import { sourceReader } from '../catalog/sources.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { assertRevision } from '../store/revision.ts';
import { transact } from '../store/transact.ts';
import {
  assertUsable,
  type Identifier,
  identifierKey,
  identifiersOfSpec,
  identifierText,
} from './identifiers/rules.ts';
import { fixedClass, instanceChanges } from './node-moves.ts';
import type { NodeRecord } from './records.ts';

/**
 * The same name and spec again returns the node that is there. CONFLICT for another spec,
 * REFERENCE_INVALID for one that names what does not exist.
 */
export async function createNode(
  records: Records,
  actor: string,
  wanted: {
    readonly name: NodeName;
    readonly spec: NodeSpec;
    readonly set?: ResourceName | null;
  },
): Promise<Found<NodeRecord>> {
  const { name, spec, set = null } = wanted;
  if (InstanceId.safeParse(name).success)
    throw new BilletError('BODY_INVALID', `${name} has the form of an instance's id`, {
      hint: 'choose another name for the node: what waits in a warm pool goes by its id',
    });
  const done = await transact(records.store, `node ${name}`, async () => {
    const existing = await records.nodes.get(name);
    if (existing && isDeepStrictEqual(existing.record.spec, spec)) return null;
    if (existing)
      throw new BilletError('CONFLICT', `node ${name} exists, with another spec`, {
        hint: `choose another name, or change it with PUT /v1/nodes/${name}/spec`,
      });
    assertUsable(spec);
    const reader = sourceReader(records.catalog, { fresh: true });
    const record: NodeRecord = {
      name,
      spec,
      derived: await reader.derive(`node ${name}`, spec, null),
      generation: 1,
      instance: null,
      lives: 0,
      set,
      createdAt: records.clock.now(),
    };
    return {
      changes: [
        records.nodes.put(name, record, ABSENT),
        ...(await indexChanges(records, name, [], identifiersOfSpec(spec))),
        records.events.tell({
          actor,
          kind: 'node.created',
          subject: `node/${name}`,
          text: `node ${name} was created`,
        }),
      ],
      conditions: reader.conditions(),
      result: (revision) => ({ id: name, record, revision }),
    };
  });
  return done ?? (await records.nodes.get(name)) ?? absent(name);
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
    assertRevision(`node ${name}`, found.revision, ifMatch);
    assertClass(found.record, spec);
    assertUsable(spec);
    const reader = sourceReader(records.catalog, { fresh: true });
    const derived = await reader.derive(`node ${name}`, spec, fixedClass(found.record));
    const record = { ...found.record, spec, derived, generation: found.record.generation + 1 };
    return {
      changes: [
        records.nodes.put(name, record, found.revision),
        ...(await indexChanges(
          records,
          name,
          identifiersOfSpec(found.record.spec),
          identifiersOfSpec(spec),
        )),
        ...(await instanceChanges(records, record)),
        records.events.tell({
          actor,
          kind: 'node.changed',
          subject: `node/${name}`,
          text: `node ${name} should be generation ${record.generation}`,
          details: { generation: record.generation },
        }),
      ],
      conditions: reader.conditions(),
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
        ...(await indexChanges(records, name, identifiersOfSpec(spec), [])),
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

/** One machine belongs to one node. CONFLICT, naming the other. */
async function indexChanges(
  records: Records,
  node: NodeName,
  before: readonly Identifier[],
  after: readonly Identifier[],
): Promise<readonly Change[]> {
  const changes: Change[] = [];
  const [had, has] = [byKey(before), byKey(after)];
  for (const key of [...had.keys()].filter((one) => !has.has(one))) {
    const found = await records.machines.get(key);
    if (found) changes.push(records.machines.drop(key, found.revision));
  }
  for (const [key, identifier] of [...has].filter(([one]) => !had.has(one))) {
    const found = await records.machines.get(key);
    if (found) throw taken(identifier, found.record.node);
    changes.push(records.machines.put(key, { node }, ABSENT));
  }
  return changes;
}

const byKey = (identifiers: readonly Identifier[]) =>
  new Map(identifiers.map((one) => [identifierKey(one), one]));

const taken = (identifier: Identifier, node: NodeName) =>
  new BilletError(
    'CONFLICT',
    `the machine with the ${identifierText(identifier)} is node ${node}`,
    {
      hint: `take it out of the spec of ${node} first: billet node show ${node}`,
      details: { machine: identifier.value, node },
    },
  );

/** What a lost instance means was promised to whoever works on it. CLASS_FIXED. */
function assertClass({ name, lives, derived }: NodeRecord, wanted: NodeSpec): void {
  const { lifecycleClass } = derived;
  if (lives === 0 || (wanted.lifecycleClass ?? lifecycleClass) === lifecycleClass) return;
  throw new BilletError(
    'CLASS_FIXED',
    `node ${name} has had an instance, and is ${lifecycleClass}, not ${wanted.lifecycleClass}`,
    {
      hint: 'create another node of that class, and move there what runs on this one',
      details: { lifecycleClass },
    },
  );
}

function absent(name: NodeName): never {
  throw new BilletError('NOT_FOUND', `no node ${name}`, { hint: 'billet node list' });
}
