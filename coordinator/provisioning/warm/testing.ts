// For tests: a pool of machines of a provider in memory, and instances of it that boot and get ready.

import type { CatalogKind } from '#shared/schema/catalog.ts';
import { SPECS } from '#shared/schema/catalog.ts';
import { Heartbeat } from '#shared/schema/heartbeat.ts';
import { type InstanceId, ResourceName } from '#shared/schema/ids.ts';
import { bootImage, moduleRef } from '../../catalog/testing.ts';
import { createResource, putResource } from '../../catalog/writes.ts';
import { recordHeartbeat } from '../../nodes/heartbeat-writes.ts';
import { after } from '../../nodes/lifecycle.ts';
import { enter, type InstanceRecord } from '../../nodes/records.ts';
import type { Records } from '../../records.ts';
import type { Life } from '../testing.ts';

const images = { holds: async () => true };
const ACTOR = 'operator:ann';

type Of = Pick<Life, 'records'>;

const named = (kind: CatalogKind, name: string, spec: object) => ({
  ...{ kind, name: ResourceName.parse(name), spec: SPECS[kind].parse(spec) },
});
export const change = ({ records }: Of, kind: CatalogKind, name: string, spec: object) =>
  putResource({ records, images }, ACTOR, { ...named(kind, name, spec), ifMatch: null });
export const create = ({ records }: Of, kind: CatalogKind, name: string, spec: object) =>
  createResource({ records, images }, ACTOR, { ...named(kind, name, spec), set: null });

export const poolSpec = (warm: number, more: object = {}) => ({
  ...{ class: 'worker', template: 'edge', instanceType: 'small', warm },
  ...more,
});

/** The pool `edge`, with what it names. Idempotent, as its writes are. */
export async function makePool(of: Of, warm: number): Promise<void> {
  await create(of, 'architecture', 'amd64', { machine: 'x86_64', oci: 'amd64' });
  await create(of, 'platform', 'debian', { architecture: 'amd64' });
  const published = { platform: 'debian', boot: bootImage(), status: 'published' };
  await create(of, 'publication', 'debian-1', published);
  await create(of, 'template', 'edge', { platform: 'debian', modules: [moduleRef('base')] });
  const type = { provider: 'local-qemu', architecture: 'amd64', shape: {} };
  await create(of, 'instance-type', 'small', type);
  await create(of, 'class', 'worker', {});
  await create(of, 'pool', 'edge', poolSpec(warm));
}

export const heartbeat = (record: InstanceRecord, generation = record.generation) =>
  Heartbeat.parse({
    bootId: record.bootId ?? '11111111-2222-4333-8444-555555555555',
    ...{ agentVersion: '1', uptimeSeconds: 9, phase: 'ready', generation, modules: [] },
  });

/** Its machine calls, and is seen ready on what it should be now. */
export async function getReady(records: Records, id: InstanceId): Promise<void> {
  await records.instances.update(
    id,
    (record) => record && enter(record, after(record.state, 'contact'), records.clock.now()),
  );
  const found = await records.instances.get(id);
  if (found) await recordHeartbeat(records, id, heartbeat(found.record));
}

/** Those that wait in the pool, in any state. */
export async function waiting({ records }: Of): Promise<readonly InstanceRecord[]> {
  const all = await Array.fromAsync(records.instances.all());
  return all.flatMap(({ record }) =>
    record.pool !== null && record.state !== 'terminated' ? [record] : [],
  );
}

/** Passes until the pool is settled, each machine getting ready as soon as it runs. */
export async function fillUp(one: Pick<Life, 'records' | 'pass'>, passes = 6): Promise<void> {
  for (let pass = 0; pass < passes; pass += 1) {
    await one.pass();
    for (const { id, machine, state } of await waiting(one))
      if (machine?.state === 'running' && state === 'provisioning') await getReady(one.records, id);
  }
}
