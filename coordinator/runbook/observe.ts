// Gathers what a runbook of a template is made from. Decides nothing; writes no text.

import { BilletError } from '#shared/errors.ts';
import type { CatalogKind } from '#shared/schema/catalog.ts';
import { LifecycleClass } from '#shared/schema/class.ts';
import type { NodeName, ResourceName } from '#shared/schema/ids.ts';
import { InstanceState } from '#shared/schema/records.ts';
import type { RunbookFacts, StateDeadline } from '#shared/schema/runbook.ts';
import { type Catalog, type View, views } from '../catalog/records.ts';
import { isoTime } from '../ids.ts';
import { deadlinesOf } from '../nodes/lifecycle-deadlines.ts';
import type { Records } from '../records.ts';

const NAMES_MAX = 20;

/** NOT_FOUND. */
export async function observeRunbook(records: Records, name: ResourceName): Promise<RunbookFacts> {
  const { catalog } = records;
  const found = await catalog.template.get(name);
  if (found === null)
    throw new BilletError('NOT_FOUND', `no template ${name}`, { hint: 'billet template list' });
  const { spec } = found.record;
  const platform = await maybe(catalog, 'platform', spec.platform);
  const image = spec.publication ?? platform?.current ?? null;
  const madeOf = await usersOf(catalog, name);
  return {
    at: isoTime(records.clock.now()),
    template: views.template(found),
    platform,
    architecture: await maybe(catalog, 'architecture', platform?.spec.architecture ?? null),
    publication: await publicationOf(catalog, image),
    ...madeOf,
    nodes: await nodesOf(records, name),
    deadlines: deadlines(madeOf),
  };
}

/** A record that another one names may be gone meanwhile. */
async function maybe<K extends 'platform' | 'architecture'>(
  catalog: Catalog,
  kind: K,
  name: ResourceName | null,
): Promise<View<K> | null> {
  const found = name === null ? null : await catalog[kind].get(name);
  return found === null
    ? null
    : ((views[kind] as (one: typeof found) => View<K>)(found) as View<K>);
}

async function publicationOf(catalog: Catalog, name: ResourceName | null) {
  const found = name === null ? null : await catalog.publication.get(name);
  if (found === null) return null;
  const platform = await catalog.platform.get(found.record.spec.platform);
  return views.publication(found, platform?.record ?? null);
}

type Users = Pick<RunbookFacts, 'classes' | 'pools' | 'regions' | 'instanceTypes'>;

/** Classes that name the template, pools that name it or are of such a class, and what these name. */
async function usersOf(catalog: Catalog, name: ResourceName): Promise<Users> {
  const all = await allOf(catalog);
  const named = all.class.filter(({ spec }) => spec.template === name);
  const pools = all.pool.filter(
    ({ spec }) =>
      spec.template === name ||
      (spec.template === null && named.some((one) => one.name === spec.class)),
  );
  // The class of a pool that names the template itself says how its machines are installed.
  const classes = all.class.filter(
    (one) => named.includes(one) || pools.some(({ spec }) => spec.class === one.name),
  );
  const places = [...classes, ...pools].map(({ spec }) => spec);
  return {
    classes,
    pools,
    regions: all.region.filter((one) => places.some(({ region }) => region === one.name)),
    instanceTypes: all['instance-type'].filter((one) =>
      places.some(({ instanceType }) => instanceType === one.name),
    ),
  };
}

async function allOf(catalog: Catalog) {
  const gather = async <K extends CatalogKind>(kind: K): Promise<View<K>[]> => {
    const source = catalog[kind] as unknown as { all(): AsyncIterable<never> };
    const made: View<K>[] = [];
    for await (const found of source.all()) made.push(views[kind](found));
    return made;
  };
  return {
    class: await gather('class'),
    pool: await gather('pool'),
    region: await gather('region'),
    'instance-type': await gather('instance-type'),
  };
}

async function nodesOf(records: Records, template: ResourceName): Promise<RunbookFacts['nodes']> {
  const names: NodeName[] = [];
  let total = 0;
  let withoutInstance = 0;
  for await (const { record } of records.nodes.all()) {
    if (record.derived.template !== template) continue;
    total += 1;
    if (record.instance === null) withoutInstance += 1;
    if (names.length < NAMES_MAX) names.push(record.name);
  }
  return { total, names, withoutInstance };
}

/** For each provider and lifecycle class that comes into question. */
function deadlines({ classes, regions, instanceTypes }: Users): StateDeadline[] {
  const providers = new Set([...regions, ...instanceTypes].map(({ spec }) => spec.provider));
  if (providers.size === 0) providers.add('manual');
  const lifecycles = new Set(classes.map(({ spec }) => spec.lifecycleClass));
  if (lifecycles.size === 0) lifecycles.add('persistent');
  return [...providers].flatMap((provider) =>
    LifecycleClass.options
      .filter((lifecycleClass) => lifecycles.has(lifecycleClass))
      .flatMap((lifecycleClass) =>
        InstanceState.options.flatMap((state) =>
          deadlinesOf({ provider, lifecycleClass, state })
            .filter(({ action }) => action !== 'finish')
            .map(({ afterMs, action, reason, hint }) => ({
              ...{ provider, lifecycleClass, state, action, reason, hint },
              afterSeconds: Math.round(afterMs / 1000),
            })),
        ),
      ),
  );
}
