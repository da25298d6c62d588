// Operator side: the catalogue. Every kind is asked in the same way.

import type { CatalogKind } from '#shared/schema/catalog.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import { type CatalogRecord, sourceOf, type View, views } from '../catalog/records.ts';
import { absent, createResource, deleteResource, putResource } from '../catalog/writes.ts';
import type { Deps } from '../deps.ts';
import type { Handlers } from '../router.ts';
import type { Found } from '../store/collection.ts';
import { actorOf, type Caller } from './handler.ts';
import { listPage, type PageQuery } from './page.ts';

interface Named {
  readonly params: { readonly name: ResourceName };
}
interface By {
  readonly caller: Caller;
}
interface Wanted {
  readonly name: ResourceName;
  readonly spec: CatalogRecord['spec'];
  readonly set: ResourceName | null;
}
interface Listed {
  readonly query: PageQuery & { readonly set?: ResourceName | undefined };
}
interface Put {
  readonly body: CatalogRecord['spec'];
  readonly ifMatch: number | null;
}

const handlersOf = <K extends CatalogKind>(kind: K) => ({
  create: async ({ caller, body }: By & { readonly body: Wanted }, deps: Deps) =>
    answer(deps, kind, await createResource(deps, actorOf(caller), { kind, ...body })),

  list: async ({ query }: Listed, deps: Deps) => ({
    body: await listPage(
      sourceOf(deps.records.catalog, kind),
      query,
      (found) => viewOf(deps, kind, found),
      ({ set }) => (query.set ?? set) === set,
    ),
  }),

  async get({ params: { name } }: Named, deps: Deps) {
    const found = await sourceOf(deps.records.catalog, kind).get(name);
    return answer(deps, kind, found ?? absent(kind, name));
  },

  async put({ caller, params: { name }, body: spec, ifMatch }: By & Named & Put, deps: Deps) {
    const wanted = { kind, name, spec, ifMatch };
    return answer(deps, kind, await putResource(deps, actorOf(caller), wanted));
  },

  async remove({ caller, params: { name } }: By & Named, { records }: Deps) {
    await deleteResource(records, actorOf(caller), kind, name);
    return { body: {} };
  },
});

const answer = async <K extends CatalogKind>(
  deps: Deps,
  kind: K,
  found: Found<CatalogRecord>,
): Promise<{ body: View<K>; etag: string }> => ({
  body: await viewOf(deps, kind, found),
  etag: `"${found.revision}"`,
});

/** The collection of a kind holds its records: the view of that kind fits. */
async function viewOf<K extends CatalogKind>(
  { records }: Deps,
  kind: K,
  found: Found<CatalogRecord>,
): Promise<View<K>> {
  const platform = kind === 'publication' ? String(found.record.spec.platform) : null;
  const of = platform === null ? null : await records.catalog.platform.get(platform);
  const view = views[kind] as (found: Found<CatalogRecord>, of: CatalogRecord | null) => View<K>;
  return view(found, of?.record ?? null);
}

const architecture = handlersOf('architecture');
const platform = handlersOf('platform');
const publication = handlersOf('publication');
const template = handlersOf('template');
const region = handlersOf('region');
const instanceType = handlersOf('instance-type');
const machineClass = handlersOf('class');
const pool = handlersOf('pool');

export const catalogHandlers = {
  createArchitecture: architecture.create,
  listArchitectures: architecture.list,
  getArchitecture: architecture.get,
  putArchitecture: architecture.put,
  deleteArchitecture: architecture.remove,
  createPlatform: platform.create,
  listPlatforms: platform.list,
  getPlatform: platform.get,
  putPlatform: platform.put,
  deletePlatform: platform.remove,
  createPublication: publication.create,
  listPublications: publication.list,
  getPublication: publication.get,
  putPublication: publication.put,
  deletePublication: publication.remove,
  createTemplate: template.create,
  listTemplates: template.list,
  getTemplate: template.get,
  putTemplate: template.put,
  deleteTemplate: template.remove,
  createRegion: region.create,
  listRegions: region.list,
  getRegion: region.get,
  putRegion: region.put,
  deleteRegion: region.remove,
  createInstanceType: instanceType.create,
  listInstanceTypes: instanceType.list,
  getInstanceType: instanceType.get,
  putInstanceType: instanceType.put,
  deleteInstanceType: instanceType.remove,
  createClass: machineClass.create,
  listClasses: machineClass.list,
  getClass: machineClass.get,
  putClass: machineClass.put,
  deleteClass: machineClass.remove,
  createPool: pool.create,
  listPools: pool.list,
  getPool: pool.get,
  putPool: pool.put,
  deletePool: pool.remove,
} satisfies Partial<Handlers>;
