// Reads what the rules of capacity count: nodes, instances, the catalogue, and each provider. Decides
// nothing.

import type { ProviderFault } from '#shared/schema/provider.ts';
import { isoTime } from '../ids.ts';
import type { Provider, Providers } from '../providers/provider.ts';
import { machineCount, machinesInRegion } from '../provisioning/quota.ts';
import type { Records } from '../records.ts';
import type { Facts, InstanceFacts } from './rules.ts';

export async function observeCapacity(
  { records, providers }: { readonly records: Records; readonly providers: Providers },
  signal: AbortSignal,
): Promise<Facts> {
  const { catalog, clock } = records;
  const regions: Facts['regions'][number][] = [];
  for await (const { record } of catalog.region.all()) {
    const { provider, machinesMax } = record.spec;
    const used = await machinesInRegion(records, record.name);
    regions.push({ name: record.name, provider, max: machinesMax, used });
  }
  const nodes: Facts['nodes'][number][] = [];
  for await (const { record } of records.nodes.all()) {
    const { name, spec, instance } = record;
    nodes.push({ name, pool: spec.pool, instance });
  }
  const instances: InstanceFacts[] = [];
  for await (const { record } of records.instances.all()) {
    const { id, node, pool, state, reason, machine } = record;
    instances.push({ id, node, pool, state, reason, hasMachine: machine !== null });
  }
  return {
    at: isoTime(clock.now()),
    providers: [
      await manual(records),
      ...(await Promise.all(
        [...providers.values()].map((one) => providerFacts(records, one, signal)),
      )),
    ],
    ...{ regions, pools: await poolFacts(records, regions), nodes, instances },
  };
}

async function poolFacts({ catalog }: Records, regions: Facts['regions']): Promise<Facts['pools']> {
  const pools: Facts['pools'][number][] = [];
  for await (const { record } of catalog.pool.all()) {
    const { spec, name } = record;
    const of = (await catalog.class.get(spec.class))?.record.spec;
    const region = spec.region ?? of?.region ?? null;
    const typeName = spec.instanceType ?? of?.instanceType ?? null;
    const type = typeName === null ? null : await catalog['instance-type'].get(typeName);
    const provider =
      type?.record.spec.provider ?? regions.find((one) => one.name === region)?.provider ?? null;
    pools.push({ name, class: spec.class, provider, region, warm: spec.warm });
  }
  return pools;
}

const manual = async (records: Records): Promise<Facts['providers'][number]> => ({
  ...{ name: 'manual', mode: 'real', max: null, fault: null },
  used: await machineCount(records, 'manual'),
});

async function providerFacts(
  records: Records,
  { name, mode, machinesMax, check }: Provider,
  signal: AbortSignal,
): Promise<Facts['providers'][number]> {
  const [used, fault] = await Promise.all([
    machineCount(records, name),
    check(signal).then(() => null, faultOf),
  ]);
  return { name, mode, max: machinesMax, used, fault };
}

const faultOf = (error: { code?: string; message?: string; hint?: string }): ProviderFault => ({
  code: String(error.code ?? 'INTERNAL').slice(0, 64),
  message: String(error.message).slice(0, 1024),
  hint: String(error.hint ?? 'look at the coordinator’s log').slice(0, 1024),
});
