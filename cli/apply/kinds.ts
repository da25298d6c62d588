// The routes of each kind, seen alike: what `apply`, `list`, `show` and `delete` need of all of them.
// Names only; each schema checks its own specs.

import { z } from 'zod';
import { type empty, type none, pageOf, pageQuery } from '#shared/routes/common.ts';
import type { Route } from '#shared/routes/route.ts';
import { routes } from '#shared/routes/table.ts';
import type { Kind } from '#shared/schema/catalog.ts';

const AnyRecord = z.looseObject({
  name: z.string(),
  spec: z.record(z.string(), z.unknown()),
  set: z.string().nullable(),
  createdAt: z.string(),
  revision: z.number(),
});
export type AnyRecord = z.infer<typeof AnyRecord>;

const params = z.object({ name: z.string() });

interface RecordRoutes {
  readonly create: Like<typeof none, typeof none, typeof CreateBody, typeof AnyRecord>;
  readonly list: Like<typeof none, typeof listQuery, typeof none, typeof listReply>;
  readonly get: Like<typeof params, typeof none, typeof none, typeof AnyRecord>;
  readonly put: Like<typeof params, typeof none, typeof Spec, typeof AnyRecord>;
  readonly remove: Like<typeof params, typeof none, typeof empty, typeof empty>;
}

const Spec = z.record(z.string(), z.unknown());
const CreateBody = z.object({ name: z.string(), spec: Spec, set: z.string().nullable() });
const listQuery = pageQuery.extend({ set: z.string().optional() });
const listReply = pageOf(AnyRecord);

interface Like<
  P extends z.ZodObject,
  Q extends z.ZodObject,
  B extends z.ZodType,
  R extends z.ZodType,
> extends Route {
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly reply: R;
}

const alike = (of: Readonly<{ [K in keyof RecordRoutes]: Route }>): RecordRoutes =>
  of as unknown as RecordRoutes;

const ROUTES: { readonly [K in Kind]: RecordRoutes } = {
  architecture: alike({
    create: routes.createArchitecture,
    list: routes.listArchitectures,
    get: routes.getArchitecture,
    put: routes.putArchitecture,
    remove: routes.deleteArchitecture,
  }),
  platform: alike({
    create: routes.createPlatform,
    list: routes.listPlatforms,
    get: routes.getPlatform,
    put: routes.putPlatform,
    remove: routes.deletePlatform,
  }),
  publication: alike({
    create: routes.createPublication,
    list: routes.listPublications,
    get: routes.getPublication,
    put: routes.putPublication,
    remove: routes.deletePublication,
  }),
  template: alike({
    create: routes.createTemplate,
    list: routes.listTemplates,
    get: routes.getTemplate,
    put: routes.putTemplate,
    remove: routes.deleteTemplate,
  }),
  region: alike({
    create: routes.createRegion,
    list: routes.listRegions,
    get: routes.getRegion,
    put: routes.putRegion,
    remove: routes.deleteRegion,
  }),
  'instance-type': alike({
    create: routes.createInstanceType,
    list: routes.listInstanceTypes,
    get: routes.getInstanceType,
    put: routes.putInstanceType,
    remove: routes.deleteInstanceType,
  }),
  class: alike({
    create: routes.createClass,
    list: routes.listClasses,
    get: routes.getClass,
    put: routes.putClass,
    remove: routes.deleteClass,
  }),
  pool: alike({
    create: routes.createPool,
    list: routes.listPools,
    get: routes.getPool,
    put: routes.putPool,
    remove: routes.deletePool,
  }),
  node: alike({
    create: routes.createNode,
    list: routes.listNodes,
    get: routes.getNode,
    put: routes.putNodeSpec,
    remove: routes.deleteNode,
  }),
};

export const recordRoutes = (kind: Kind): RecordRoutes => ROUTES[kind];
