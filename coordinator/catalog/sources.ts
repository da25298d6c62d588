// Reads the records that a node is made from, and what has to hold for what follows from them. Writes
// nothing; how they come together is in rules.ts.

import { BilletError } from '#shared/errors.ts';
import type { CatalogKind } from '#shared/schema/catalog.ts';
import type { LifecycleClass } from '#shared/schema/class.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import type { Derived, NodeSpec } from '#shared/schema/records.ts';
import { TemplateSpec } from '#shared/schema/template.ts';
import type { Found } from '../store/collection.ts';
import type { Condition } from '../store/store.ts';
import { type Catalog, type CatalogRecord, sourceOf } from './records.ts';
import { derive, placed, type Sources } from './rules.ts';

type SpecOf<K extends CatalogKind> =
  Awaited<ReturnType<Catalog[K]['get']>> extends Found<infer R> | null ? R : never;

export interface SourceReader {
  /** REFERENCE_INVALID, naming `user`, when there is none; also when it is being deleted and `fresh`. */
  read<K extends CatalogKind>(kind: K, name: ResourceName, user: string): Promise<SpecOf<K>>;
  /** What `user` comes to. REFERENCE_INVALID, STORE_LIMIT. */
  derive(user: string, spec: NodeSpec, fixed: LifecycleClass | null): Promise<Derived>;
  /** That what a record names goes together. REFERENCE_INVALID. */
  assertTogether(kind: CatalogKind, record: CatalogRecord, user: string): Promise<void>;
  /** That everything that was read still is as it was. */
  conditions(): readonly Condition[];
}

/** Each record is read once. `fresh`: for a record that begins to name others. */
export function sourceReader(catalog: Catalog, { fresh }: { fresh: boolean }): SourceReader {
  const seen = new Map<string, Found<CatalogRecord>>();

  async function read<K extends CatalogKind>(kind: K, name: ResourceName, user: string) {
    const source = sourceOf(catalog, kind);
    const key = source.key(name);
    const found = seen.get(key) ?? (await source.get(name));
    if (found === null)
      throw new BilletError(
        'REFERENCE_INVALID',
        `${user} names the ${kind} ${name}: there is none`,
        {
          hint: `see \`billet ${kind} list\`; make it first, or apply both documents together`,
          details: { kind, name, user },
        },
      );
    if (fresh && found.record.leaving)
      throw new BilletError(
        'REFERENCE_INVALID',
        `${user} names the ${kind} ${name}, which is being deleted`,
        {
          hint: `finish it with \`billet ${kind} delete ${name}\`, or apply its document again`,
          details: { kind, name, user },
        },
      );
    seen.set(key, found);
    return found.record as unknown as SpecOf<K>;
  }

  const maybe = async <K extends CatalogKind>(kind: K, name: ResourceName | null, user: string) =>
    name === null ? null : await read(kind, name, user);

  async function sources(user: string, spec: NodeSpec): Promise<Sources> {
    const pool = await maybe('pool', spec.pool, user);
    const of = await maybe('class', spec.class ?? pool?.spec.class ?? null, user);
    const layers = [spec, pool?.spec, of?.spec];
    const template = await maybe('template', placed('template', ...layers), user);
    const platform = await maybe('platform', template?.spec.platform ?? null, user);
    const image = template?.spec.publication ?? platform?.current ?? null;
    return {
      pool,
      class: of,
      template,
      platform,
      publication: await maybe('publication', image, user),
      region: await maybe('region', placed('region', ...layers), user),
      instanceType: await maybe('instance-type', placed('instanceType', ...layers), user),
    };
  }

  async function assertTogether(kind: CatalogKind, { spec }: CatalogRecord, user: string) {
    if (kind !== 'template') return;
    const { platform, publication } = TemplateSpec.parse(spec);
    const pinned = await maybe('publication', publication, user);
    if (pinned === null || pinned.spec.platform === platform) return;
    throw new BilletError(
      'REFERENCE_INVALID',
      `${user} names the publication ${pinned.name} of the platform ${pinned.spec.platform}`,
      {
        hint: `name one of the platform ${platform ?? 'that the template names'}`,
        details: { kind: 'publication', name: pinned.name, user },
      },
    );
  }

  return {
    read,
    assertTogether,
    derive: async (user, spec, fixed) => derive(spec, await sources(user, spec), fixed),
    conditions: () => [...seen].map(([key, { revision }]) => ({ key, revision })),
  };
}
