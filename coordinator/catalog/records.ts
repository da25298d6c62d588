// What the coordinator stores of the catalogue: one collection a kind, and how a record becomes what
// operators see. Decides nothing; versions and migrations of the records stand here.

import { z } from 'zod';
import type { Architecture } from '#shared/schema/architecture.ts';
import { type CatalogKind, KINDS, SPECS } from '#shared/schema/catalog.ts';
import type { MachineClass } from '#shared/schema/class.ts';
import { ResourceName } from '#shared/schema/ids.ts';
import type { InstanceType } from '#shared/schema/instance-type.ts';
import type { Platform } from '#shared/schema/platform.ts';
import type { Pool } from '#shared/schema/pool.ts';
import type { Publication } from '#shared/schema/publication.ts';
import type { Region } from '#shared/schema/region.ts';
import type { Template } from '#shared/schema/template.ts';
import { isoTime } from '../ids.ts';
import { type Collection, collection, type Found } from '../store/collection.ts';
import type { Store } from '../store/store.ts';
import { contentDigest } from './content-digest.ts';

/** Unix milliseconds. */
const Moment = z.int().nonnegative();

const recordOf = <S extends z.ZodType>(spec: S) =>
  z.strictObject({
    name: ResourceName,
    spec,
    set: ResourceName.nullable(),
    createdAt: Moment,
    /** A deletion looks for users: nothing may begin to name it. */
    leaving: z.boolean(),
    /** Of a platform: the publication that its nodes boot with. */
    current: ResourceName.nullable(),
    /** Of a publication: when it was last published. */
    publishedAt: Moment.nullable(),
  });

/** A record of any kind: what rules and writes of all kinds have in common. */
export interface CatalogRecord {
  readonly name: ResourceName;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly set: ResourceName | null;
  readonly createdAt: number;
  readonly leaving: boolean;
  readonly current: ResourceName | null;
  readonly publishedAt: number | null;
}

const kindOf = <S extends z.ZodType>(store: Store, prefix: string, spec: S) =>
  collection(store, { prefix, schema: recordOf(spec), id: ResourceName, version: 1 });

/** A change that still has to reach nodes: how far it has come. */
const RolloutRecord = z.strictObject({
  kind: z.enum(KINDS),
  name: ResourceName,
  /** The last node that was looked at; empty before the first. */
  after: z.string().max(63),
  /** Nodes that got a new generation. */
  moved: z.int().nonnegative(),
  /** Who changed it. */
  actor: z.string().max(128),
});
export type RolloutRecord = z.infer<typeof RolloutRecord>;

const RolloutKey = z.string().regex(/^[a-z-]{1,32}\.[a-z0-9.-]{1,63}$/);

export const catalogRecords = (store: Store) => ({
  catalog: {
    architecture: kindOf(store, 'architectures', SPECS.architecture),
    platform: kindOf(store, 'platforms', SPECS.platform),
    publication: kindOf(store, 'publications', SPECS.publication),
    template: kindOf(store, 'templates', SPECS.template),
    region: kindOf(store, 'regions', SPECS.region),
    'instance-type': kindOf(store, 'instance-types', SPECS['instance-type']),
    class: kindOf(store, 'classes', SPECS.class),
    pool: kindOf(store, 'pools', SPECS.pool),
  },
  rollouts: collection(store, {
    prefix: 'rollouts',
    schema: RolloutRecord,
    id: RolloutKey,
    version: 1,
  }),
});

export type Catalog = ReturnType<typeof catalogRecords>['catalog'];

/** The collection of a kind, where the kind does not matter: each checks its own specs. */
export const sourceOf = (catalog: Catalog, kind: CatalogKind): Collection<CatalogRecord> =>
  catalog[kind] as unknown as Collection<CatalogRecord>;

interface Views {
  readonly architecture: Architecture;
  readonly platform: Platform;
  readonly publication: Publication;
  readonly template: Template;
  readonly region: Region;
  readonly 'instance-type': InstanceType;
  readonly class: MachineClass;
  readonly pool: Pool;
}
export type View<K extends CatalogKind> = Views[K];

type Stored<K extends CatalogKind> = Catalog[K] extends Collection<infer R> ? Found<R> : never;

const common = <R extends CatalogRecord>({ record, revision }: Found<R>) => ({
  name: record.name,
  spec: record.spec as R['spec'],
  set: record.set,
  createdAt: isoTime(record.createdAt),
  revision,
});

/** As operators see a record of each kind. */
export const views: {
  readonly [K in CatalogKind]: (found: Stored<K>, platform?: CatalogRecord | null) => Views[K];
} = {
  architecture: common,
  platform: (found) => ({ ...common(found), current: found.record.current }),
  publication: (found, platform) => ({
    ...common(found),
    digest: contentDigest(found.record.spec),
    publishedAt: found.record.publishedAt === null ? null : isoTime(found.record.publishedAt),
    current: platform?.current === found.record.name,
  }),
  template: common,
  region: common,
  'instance-type': common,
  class: common,
  pool: common,
};
