// What each provider, region and pool can still take, from counts and limits. Pure.

import type { Capacity, Room, StateCounts } from '#shared/schema/capacity.ts';
import type { InstanceId, NodeName, ResourceName } from '#shared/schema/ids.ts';
import type { ProviderFault, ProviderKind, ProviderMode } from '#shared/schema/provider.ts';
import type { InstanceState } from '#shared/schema/records.ts';

export interface Facts {
  readonly at: string;
  readonly providers: readonly {
    readonly name: ProviderKind;
    readonly mode: ProviderMode;
    readonly max: number | null;
    readonly used: number;
    readonly fault: ProviderFault | null;
  }[];
  readonly regions: readonly {
    readonly name: ResourceName;
    readonly provider: ProviderKind;
    readonly max: number | null;
    readonly used: number;
  }[];
  /** With what their class and instance type add to them. */
  readonly pools: readonly {
    readonly name: ResourceName;
    readonly class: ResourceName;
    readonly provider: ProviderKind | null;
    readonly region: ResourceName | null;
    readonly warm: number;
  }[];
  readonly nodes: readonly {
    readonly name: NodeName;
    readonly pool: ResourceName | null;
    readonly instance: InstanceId | null;
  }[];
  readonly instances: readonly InstanceFacts[];
}

export interface InstanceFacts {
  readonly id: InstanceId;
  readonly node: NodeName;
  /** In whose warm pool it waits; null once a node has it. */
  readonly pool: ResourceName | null;
  readonly state: InstanceState;
  readonly reason: string;
  /** Whether its provider has, or will have, a machine for it. */
  readonly hasMachine: boolean;
}

type Ceiling = { readonly what: string; readonly free: number };

const FAILED_MAX = 20;
/** Nothing of them is left, and history is no capacity. */
const isThere = ({ state }: InstanceFacts) => state !== 'terminated';

export function capacityOf(facts: Facts): Capacity {
  const instances = facts.instances.filter(isThere);
  const byId = new Map(instances.map((instance) => [instance.id, instance]));
  const providers = facts.providers.map((one) => ({
    ...one,
    ...roomOf(one, providerCeiling(one)),
  }));
  const regions = facts.regions.map(({ name, provider, max, used }) => {
    const above = providers.find((one) => one.name === provider);
    const own = max === null ? null : { what: `region ${name}`, free: Math.max(0, max - used) };
    return { name, provider, ...roomOf({ used, max }, own, ceilingOf(above)) };
  });
  const pools = facts.pools.map((pool) => {
    const members = facts.nodes.filter((node) => node.pool === pool.name);
    const live = members.flatMap(({ instance }) => {
      const found = instance === null ? undefined : byId.get(instance);
      return found === undefined ? [] : [found];
    });
    const warm = instances.filter((instance) => instance.pool === pool.name);
    const ready = warm.filter(({ state }) => state === 'running').length;
    const { name, class: of, provider, region } = pool;
    const above = [
      ceilingOf(regions.find((one) => one.name === region)),
      ceilingOf(providers.find((one) => one.name === provider)),
    ];
    const used = [...live, ...warm].filter(({ hasMachine }) => hasMachine).length;
    return {
      ...{ name, class: of, provider, region },
      nodes: members.length,
      withoutInstance: members.length - live.length,
      states: statesOf(live),
      warm: { wanted: pool.warm, ready, others: warm.length - ready },
      ...roomOf({ used, max: null }, ...above),
    };
  });
  const withoutInstance = facts.nodes.filter(
    ({ instance }) => instance === null || !byId.has(instance),
  ).length;
  const capacity = {
    at: facts.at,
    states: statesOf(instances),
    nodes: { total: facts.nodes.length, withoutInstance },
    ...{ providers, regions, pools },
    failed: instances
      .filter(({ state }) => state === 'failed')
      .slice(0, FAILED_MAX)
      .map(({ id, node, reason }) => ({ instance: id, node, reason })),
  };
  return { ...capacity, findings: findingsOf(capacity) };
}

type Limited = Pick<Room, 'used' | 'max'>;

/** Disabled or broken it takes none, whatever its limit. */
function providerCeiling(one: Facts['providers'][number]): Ceiling | null {
  const what = `provider ${one.name}`;
  if (one.fault !== null || one.mode === 'disabled') return { what, free: 0 };
  return one.max === null ? null : { what, free: Math.max(0, one.max - one.used) };
}

const ceilingOf = (room: Pick<Room, 'free' | 'bound'> | undefined): Ceiling | null =>
  room === undefined || room.free === null ? null : { what: room.bound ?? '', free: room.free };

/** Under the lowest of the ceilings; of two that are equal, under the first. */
function roomOf({ used, max }: Limited, ...ceilings: readonly (Ceiling | null)[]): Room {
  let lowest: Ceiling | null = null;
  for (const ceiling of ceilings)
    if (ceiling !== null && (lowest === null || ceiling.free < lowest.free)) lowest = ceiling;
  return { used, max, free: lowest?.free ?? null, bound: lowest?.what ?? null };
}

function findingsOf(capacity: Omit<Capacity, 'findings'>): Capacity['findings'] {
  const { providers, regions, pools, failed, states } = capacity;
  const findings: { text: string; hint: string }[] = [];
  for (const { name, mode, fault, used } of providers)
    if (mode === 'disabled' && used > 0)
      findings.push({
        text: `${name} is disabled, and has ${used} machines`,
        hint: `set providers.${name}.mode in the coordinator's configuration, then restart it`,
      });
    else if (fault !== null && mode !== 'disabled')
      findings.push({ text: `${name} cannot be used: ${fault.message}`, hint: fault.hint });
  for (const { name, used, max, free, mode, fault } of providers)
    if (free === 0 && max !== null && mode !== 'disabled' && fault === null)
      findings.push({
        text: `${name} is full: ${used} of ${max} machines`,
        hint: `raise providers.${name}.machinesMax, or terminate some: billet instance list`,
      });
  for (const { name, used, max, bound } of regions)
    if (max !== null && used >= max && bound === `region ${name}`)
      findings.push({
        text: `the region ${name} is full: ${used} of ${max} machines`,
        hint: `raise its machinesMax: billet region show ${name} --yaml, then billet apply`,
      });
  for (const { name, withoutInstance, free, bound } of pools)
    if (free !== null && withoutInstance > free)
      findings.push({
        text: `the pool ${name} has ${withoutInstance} nodes without an instance, and room for ${free}`,
        hint: `make room at ${bound}, or delete nodes that are not wanted`,
      });
  for (const { name, warm } of pools)
    if (warm.ready + warm.others < warm.wanted)
      findings.push({
        text: `the pool ${name} keeps ${warm.ready + warm.others} of ${warm.wanted} warm instances`,
        hint: `billet events --subject pool/${name} says why`,
      });
  const [first] = failed;
  if (first !== undefined)
    findings.push({
      text: `${states.failed} instances have failed`,
      hint: `billet instance why ${first.instance}`,
    });
  return findings;
}

function statesOf(instances: readonly InstanceFacts[]): StateCounts {
  return Object.fromEntries(countBy(instances.map(({ state }) => state)));
}

function countBy<T>(values: readonly T[]): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
