// Asks for machines: checks the whole request first, then makes an instance a node, each in one commit
// with the operation that its provider will be asked under. The provider itself is asked by drive.ts.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { ProviderFault, ProviderKind } from '#shared/schema/provider.ts';
import { assertFree, freshInstance, instanceCreated } from '../nodes/instance-writes.ts';
import { type InstanceRecord, type NodeRecord, newMachine } from '../nodes/records.ts';
import type { Providers } from '../providers/provider.ts';
import type { Records } from '../records.ts';
import type { Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { bootable, type OrderDeps } from './order.ts';
import type { Placement } from './placement.ts';
import { assertRoom } from './quota.ts';
import { claim } from './warm/claim.ts';

const NODES_MAX = 50;

export interface ProvisionDeps extends Pick<OrderDeps, 'records' | 'bootFiles'> {
  readonly providers: Providers;
}

export interface ProvisionOrder {
  readonly nodes: readonly NodeName[];
  /** How a node's machine is had: asked for once a node, so that a template or class may say it. */
  readonly placement: (node: NodeRecord) => Promise<Placement>;
  /** Each node takes an instance that waits in its pool; nothing is made. */
  readonly fromPool: boolean;
  /** The same key again returns the same instances. */
  readonly idempotencyKey: string | null;
}

export interface Provisioned {
  readonly node: NodeName;
  readonly instance: InstanceId | null;
  /** Why there is no instance; null when there is one. */
  readonly fault: ProviderFault | null;
}

interface Wanted extends Placement {
  readonly node: NodeName;
}

/**
 * One instance a node, in the order asked. Nothing is made when any of them cannot be: BULK_LIMIT,
 * BODY_INVALID for a name twice, NOT_FOUND, CONFLICT while a node has an instance,
 * NETBOOT_IMAGE_MISSING, PROVIDER_DISABLED, PROVIDER_QUOTA. What changes between check and commit
 * stands in the result.
 */
export async function provision(
  deps: ProvisionDeps,
  actor: string,
  order: ProvisionOrder,
  signal: AbortSignal,
): Promise<readonly Provisioned[]> {
  const { nodes, idempotencyKey: request } = order;
  assertBulk(nodes);
  const wanted: Wanted[] = [];
  const done = new Map<NodeName, InstanceId>();
  for (const name of nodes) {
    const node = await nodeOf(deps.records, name);
    const before = await earlier(deps.records, node.record, request);
    if (before) done.set(name, before.id);
    else {
      assertFree(node.record);
      const placement = await order.placement(node.record);
      const isMade = placement.provider !== 'manual' && !order.fromPool;
      if (isMade) await bootable(deps, node.record);
      wanted.push({ node: name, ...placement });
    }
  }
  if (!order.fromPool) await assertProviders(deps, wanted, signal);
  const results: Provisioned[] = [];
  for (const node of nodes) {
    const known = done.get(node);
    const one = wanted.find((each) => each.node === node);
    if (known) results.push({ node, instance: known, fault: null });
    else if (one) results.push(await tried(one.node, () => had(deps.records, actor, one, order)));
  }
  return results;
}

function assertBulk(nodes: readonly NodeName[]): void {
  if (nodes.length > NODES_MAX)
    throw new BilletError('BULK_LIMIT', `${nodes.length} nodes in one call`, {
      hint: `ask for ${NODES_MAX} at most, wait for them, and ask for the next; a pool keeps warm ones`,
      details: { max: NODES_MAX },
    });
  const twice = nodes.find((name, at) => nodes.indexOf(name) !== at);
  if (twice !== undefined)
    throw new BilletError('BODY_INVALID', `node ${twice} stands twice`, {
      hint: 'name each node once: a node has one instance at a time',
    });
}

async function nodeOf(records: Records, name: NodeName): Promise<Found<NodeRecord>> {
  const found = await records.nodes.get(name);
  if (found) return found;
  throw new BilletError('NOT_FOUND', `no node ${name}`, { hint: `billet node create ${name}` });
}

/** What the same request made, when its answer was lost. */
async function earlier(
  records: Records,
  { instance }: NodeRecord,
  request: string | null,
): Promise<InstanceRecord | null> {
  const found =
    instance === null || request === null ? null : await records.instances.get(instance);
  return found?.record.machine?.request === request ? found.record : null;
}

async function assertProviders(
  deps: ProvisionDeps,
  wanted: readonly Wanted[],
  signal: AbortSignal,
): Promise<void> {
  for (const name of new Set(wanted.map((one) => one.provider))) {
    const provider = deps.providers.get(name);
    if (name === 'manual') continue;
    if (provider === undefined) throw noProvider(name);
    await provider.check(signal);
    const there = wanted.filter((one) => one.provider === name);
    await assertRoom(deps.records, provider, null, there.length);
    for (const [region, { length }] of Map.groupBy(there, (one) => one.region))
      if (region !== null) await assertRoom(deps.records, provider, region, length);
  }
}

/** From its pool, or new. */
const had = (
  records: Records,
  actor: string,
  wanted: Wanted,
  { fromPool, idempotencyKey: request }: ProvisionOrder,
): Promise<InstanceRecord> =>
  fromPool
    ? claim(records, actor, { node: wanted.node, placement: wanted, request })
    : make(records, actor, wanted, request);

async function tried(node: NodeName, work: () => Promise<InstanceRecord>): Promise<Provisioned> {
  try {
    return { node, instance: (await work()).id, fault: null };
  } catch (error) {
    if (!(error instanceof BilletError) || !ITS_OWN.has(error.code)) throw error;
    const { code, message, hint } = error;
    return { node, instance: null, fault: { code, message, hint } };
  }
}

/** What concerns one node, and not the others. */
const ITS_OWN: ReadonlySet<string> = new Set(['CONFLICT', 'POOL_EMPTY']);

/** The record of what a provider will be asked for, before it is. */
async function make(
  records: Records,
  actor: string,
  { node: name, ...placement }: Wanted,
  request: string | null,
): Promise<InstanceRecord> {
  const made = await transact(records.store, `node ${name}`, async () => {
    const node = await nodeOf(records, name);
    assertFree(node.record);
    const { provider } = placement;
    const machine = provider === 'manual' ? null : newMachine(placement, request);
    const record = freshInstance(records, node.record, { provider, machine });
    return { changes: instanceCreated(records, actor, node, record), result: () => record };
  });
  return made as InstanceRecord;
}

const noProvider = (name: ProviderKind) =>
  new BilletError('PROVIDER_DISABLED', `there is no provider ${name} here`, {
    hint: 'billet provider list',
  });
