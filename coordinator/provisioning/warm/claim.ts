// A node takes an instance from its warm pool: one commit that binds both, and gives the instance what
// the node should be as its next generation. Asks no provider: the machine runs already.

import { isDeepStrictEqual } from 'node:util';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { generationAfter } from '../../backup/rules.ts';
import { assertFree, told } from '../../nodes/instance-writes.ts';
import { after } from '../../nodes/lifecycle.ts';
import { forgetChanges, generationChanges } from '../../nodes/node-moves.ts';
import { enter, type InstanceRecord, type NodeRecord } from '../../nodes/records.ts';
import { advance } from '../../nodes/rules.ts';
import type { Records } from '../../records.ts';
import type { Found } from '../../store/collection.ts';
import { transact } from '../../store/transact.ts';
import type { Placement } from '../placement.ts';
import { isPlaced, poolDerived } from './subject.ts';

export interface ClaimOrder {
  readonly node: NodeName;
  readonly placement: Placement;
  /** Idempotency key of the call. */
  readonly request: string | null;
}

/**
 * The instance is `bootstrapping` until it was seen ready as what the node should be. POOL_EMPTY when
 * none is ready and fits, CONFLICT while the node has an instance, NOT_FOUND.
 */
export async function claim(
  records: Records,
  actor: string,
  { node: name, placement, request }: ClaimOrder,
): Promise<InstanceRecord> {
  const claimed = await transact(records.store, `node ${name}`, async () => {
    const node = await records.nodes.get(name);
    if (!node)
      throw new BilletError('NOT_FOUND', `no node ${name}`, { hint: `billet node create ${name}` });
    assertFree(node.record);
    const found = await readyFor(records, node.record, placement);
    const { id, record } = found;
    const warm = await records.warm.get(record.id);
    const generation = generationAfter(record.generation, node.record.generation);
    const next = bound(record, { node: node.record, generation, request }, records.clock.now());
    const moved = { ...node.record, generation, instance: next.id, lives: node.record.lives + 1 };
    return {
      changes: [
        records.instances.put(id, next, found.revision),
        records.nodes.put(name, moved, node.revision),
        ...(warm ? [records.warm.drop(id, warm.revision)] : []),
        ...generationChanges(records, next, node.record.derived),
        ...(await forgetChanges(records, record, next)),
        told(records, actor, next.id, 'instance.claimed', text(name, record, generation)),
      ],
      result: () => next,
    };
  });
  return claimed as InstanceRecord;
}

const text = (node: NodeName, { id, pool }: InstanceRecord, generation: number) =>
  `${node} has ${id} from the pool ${pool}; it should be generation ${generation}`;

/**
 * What it was ready as before counts no longer: the node is not served by that. So it is neither good
 * nor kept, and only the node's own generation makes it run.
 */
function bound(
  before: InstanceRecord,
  to: { readonly node: NodeRecord; readonly generation: number; readonly request: string | null },
  now: number,
): InstanceRecord {
  const { node, generation, request } = to;
  const entered = enter(before, after(before.state, 'claim'), now);
  const machine = before.machine && { ...before.machine, request };
  const { lifecycleClass } = node.derived;
  const taken = { ...entered, node: node.name, pool: null, lifecycleClass, machine };
  return advance({ ...taken, goods: [], kept: [] }, generation);
}

/** The one that has waited longest of those that need no other boot. POOL_EMPTY, and why. */
async function readyFor(
  records: Records,
  node: NodeRecord,
  placement: Placement,
): Promise<Found<InstanceRecord>> {
  const { pool } = node.spec;
  if (pool === null)
    throw none(`node ${node.name} is of no pool`, `billet node set ${node.name} --pool NAME`);
  const derived = await poolDerived(records, pool);
  if (!isDeepStrictEqual(derived.bootImage, node.derived.bootImage))
    throw none(`node ${node.name} boots another image than the pool ${pool}`, COLD);
  const ready: Found<InstanceRecord>[] = [];
  let others = 0;
  for await (const { id, record } of records.warm.all()) {
    if (record.pool !== pool) continue;
    const found = await records.instances.get(id as InstanceId);
    if (found && isReady(found.record) && isPlaced(found.record, placement)) ready.push(found);
    else others += 1;
  }
  const [first] = ready.sort((a, b) => a.record.createdAt - b.record.createdAt);
  if (first) return first;
  throw none(
    `the pool ${pool} has no instance that is ready and fits ${node.name}; ${others} others wait in it`,
    `billet instance list; wait, raise warm of the pool, or ${COLD}`,
  );
}

const isReady = ({ state, machine, preemption, pool }: InstanceRecord): boolean =>
  state === 'running' && pool !== null && machine?.state === 'running' && preemption === null;

const COLD = 'leave out --from-pool: a machine is made then';

const none = (message: string, hint: string) => new BilletError('POOL_EMPTY', message, { hint });
