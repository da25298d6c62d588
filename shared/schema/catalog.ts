// The kinds of records that operators write, and which of them name which. Data, and what follows from
// it; who may write what, and when, is the coordinator's.

import { ArchitectureSpec } from './architecture.ts';
import { ClassSpec } from './class.ts';
import { InstanceTypeSpec } from './instance-type.ts';
import { PlatformSpec } from './platform.ts';
import { PoolSpec } from './pool.ts';
import { PublicationSpec } from './publication.ts';
import { NodeSpec } from './records.ts';
import { RegionSpec } from './region.ts';
import { TemplateSpec } from './template.ts';

/** In this order they can be made: each names only kinds that stand before it. */
export const KINDS = [
  'architecture',
  'platform',
  'publication',
  'template',
  'region',
  'instance-type',
  'class',
  'pool',
  'node',
] as const;
export type Kind = (typeof KINDS)[number];
/** Nodes have routes and records of their own. */
export type CatalogKind = Exclude<Kind, 'node'>;

export const SPECS = {
  architecture: ArchitectureSpec,
  platform: PlatformSpec,
  publication: PublicationSpec,
  template: TemplateSpec,
  region: RegionSpec,
  'instance-type': InstanceTypeSpec,
  class: ClassSpec,
  pool: PoolSpec,
  node: NodeSpec,
} as const satisfies Record<Kind, unknown>;

const PLACED = { template: 'template', region: 'region', instanceType: 'instance-type' } as const;

/** Fields of a spec that hold the name of another record, and of which kind. */
const REFERENCES: Readonly<Record<Kind, Readonly<Record<string, CatalogKind>>>> = {
  architecture: {},
  platform: { architecture: 'architecture' },
  publication: { platform: 'platform' },
  template: { platform: 'platform', publication: 'publication' },
  region: {},
  'instance-type': { architecture: 'architecture' },
  class: PLACED,
  pool: { class: 'class', ...PLACED },
  node: { class: 'class', pool: 'pool', ...PLACED },
};

export interface Reference {
  readonly field: string;
  readonly kind: CatalogKind;
  readonly name: string;
}

/** What a spec names, in the order of the table. */
export const referencesOf = (
  kind: Kind,
  spec: Readonly<Record<string, unknown>>,
): readonly Reference[] =>
  Object.entries(REFERENCES[kind]).flatMap(([field, to]) => {
    const name = spec[field];
    return typeof name === 'string' ? [{ field, kind: to, name }] : [];
  });

/** Kinds of which a record may name one of `kind`. */
export const usersOf = (kind: CatalogKind): readonly Kind[] =>
  KINDS.filter((user) => Object.values(REFERENCES[user]).includes(kind));
