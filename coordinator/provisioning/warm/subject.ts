// What an instance is made for: its node, or the warm pool that it waits in, which makes of it what a
// node of the pool would be that says nothing itself. Reads only.

import { isDeepStrictEqual } from 'node:util';
import { BilletError } from '#shared/errors.ts';
import type { InstanceId, ResourceName } from '#shared/schema/ids.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { type Derived, NodeSpec } from '#shared/schema/records.ts';
import { sourceReader } from '../../catalog/sources.ts';
import type { Subject } from '../../nodes/instance-writes.ts';
import type { InstanceRecord } from '../../nodes/records.ts';
import type { Records } from '../../records.ts';
import { type Placement, placementOf } from '../placement.ts';

/** It has one generation, for which it is made; what a node makes of it comes with the claim. */
export const WARM_GENERATION = 1;

/** Of nobody: it carries nothing that is one node's own. REFERENCE_INVALID when the pool is gone. */
export async function poolDerived(records: Records, pool: ResourceName): Promise<Derived> {
  const reader = sourceReader(records.catalog, { fresh: false });
  return await reader.derive(`pool ${pool}`, NodeSpec.parse({ pool }), null);
}

/** An instance that waits goes by its own id. */
export const warmSubject = (id: InstanceId, derived: Derived): Subject => ({
  name: NodeName.parse(id),
  generation: WARM_GENERATION,
  derived,
});

/** NOT_FOUND, REFERENCE_INVALID. */
export async function subjectOf(records: Records, record: InstanceRecord): Promise<Subject> {
  if (record.pool !== null) return warmSubject(record.id, await poolDerived(records, record.pool));
  const node = await records.nodes.get(record.node);
  if (node) return node.record;
  throw new BilletError('NOT_FOUND', `no node ${record.node}`, {
    hint: `billet instance terminate ${record.id}`,
  });
}

export interface PoolSubject {
  readonly derived: Derived;
  readonly placement: Placement;
}

/**
 * What the pool's warm instances are. BODY_INVALID, NETBOOT_IMAGE_MISSING or REFERENCE_INVALID when
 * it says too little for machines that nobody is named for.
 */
export async function poolSubject(records: Records, pool: ResourceName): Promise<PoolSubject> {
  const derived = await poolDerived(records, pool);
  const placement = await placementOf(records, {})({ name: `of the pool ${pool}`, derived });
  if (derived.bootImage === null)
    throw new BilletError('NETBOOT_IMAGE_MISSING', `the pool ${pool} has no boot image`, {
      hint: 'give it, or its class, a template whose platform has a published image',
    });
  const { provider, shape } = placement;
  if (provider === 'manual' || shape.boot === 'network')
    throw new BilletError(
      'BODY_INVALID',
      `the pool ${pool} cannot be kept warm: ${why(provider)}`,
      {
        hint: 'give it an instance type of a provider that makes machines, with boot: direct',
      },
    );
  return { derived, placement };
}

const why = (provider: string) =>
  provider === 'manual'
    ? 'nobody here switches its machines on'
    : 'a machine that boots over the network is known by its node';

/** Whether a machine that was made so is what would be made now. */
export const isPlaced = ({ provider, machine }: InstanceRecord, wanted: Placement): boolean =>
  provider === wanted.provider && isDeepStrictEqual(machine?.shape, wanted.shape);
