// How records of the catalogue look to a person. Text only; asks nobody.

import type { CatalogKind } from '#shared/schema/catalog.ts';
import { ago, type Column, cleanLines, listing } from '../output.ts';

export interface ResourceRecord {
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly set: string | null;
  readonly createdAt: string;
  readonly revision: number;
  /** What a kind has beside its spec. */
  readonly [more: string]: unknown;
}

export interface CatalogRow {
  readonly kind: CatalogKind;
  /** With an article or in the plural where it stands in a sentence. */
  readonly many: string;
  readonly description: string;
  /** A name for examples. */
  readonly example: string;
  /** What tells its records apart: a header, and where the value is found. */
  readonly columns: readonly (readonly [
    header: string,
    value: (record: ResourceRecord) => unknown,
  ])[];
}

const spec = (field: string) => (record: ResourceRecord) => record.spec[field];

/** Number of entries of a list. */
const size = (field: string) => (record: ResourceRecord) => {
  const value = record.spec[field];
  return Array.isArray(value) ? value.length : 0;
};

export const CATALOG: { readonly [K in CatalogKind]: CatalogRow } = {
  architecture: {
    kind: 'architecture',
    many: 'architectures',
    description: 'Architectures: what processors of machines run.',
    example: 'amd64',
    columns: [
      ['MACHINE', spec('machine')],
      ['OCI', spec('oci')],
    ],
  },
  platform: {
    kind: 'platform',
    many: 'platforms',
    description: 'Platforms: families of boot images, and which of them is current.',
    example: 'debian-amd64',
    columns: [
      ['ARCHITECTURE', spec('architecture')],
      ['CURRENT', ({ current }) => current],
    ],
  },
  publication: {
    kind: 'publication',
    many: 'disk image publications',
    description: 'Publications: kernel, initramfs and root of a platform, by digest.',
    example: 'debian-amd64-1',
    columns: [
      ['PLATFORM', spec('platform')],
      ['STATUS', spec('status')],
      ['CURRENT', ({ current }) => (current === true ? 'yes' : null)],
      ['DIGEST', ({ digest }) => String(digest).slice(0, 'sha256:'.length + 12)],
    ],
  },
  template: {
    kind: 'template',
    many: 'templates',
    description: 'Templates: platform, modules and settings that nodes are made of.',
    example: 'edge-base',
    columns: [
      ['PLATFORM', spec('platform')],
      ['MODULES', size('modules')],
    ],
  },
  region: {
    kind: 'region',
    many: 'provider regions',
    description: 'Regions: places where a provider makes machines.',
    example: 'here',
    columns: [
      ['PROVIDER', spec('provider')],
      ['ZONE', spec('zone')],
      ['MOST', spec('machinesMax')],
    ],
  },
  'instance-type': {
    kind: 'instance-type',
    many: 'instance types',
    description: 'Instance types: sizes and shapes of machines of a provider.',
    example: 'small',
    columns: [
      ['PROVIDER', spec('provider')],
      ['ARCHITECTURE', spec('architecture')],
    ],
  },
  class: {
    kind: 'class',
    many: 'classes',
    description:
      'Classes: how machines are had and installed, and what their nodes are by default.',
    example: 'worker',
    columns: [
      ['LIFECYCLE', spec('lifecycleClass')],
      ['TEMPLATE', spec('template')],
      ['REGION', spec('region')],
      ['TYPE', spec('instanceType')],
    ],
  },
  pool: {
    kind: 'pool',
    many: 'pools',
    description: 'Pools: nodes of one class, and instances that are kept warm for them.',
    example: 'workers',
    columns: [
      ['CLASS', spec('class')],
      ['WARM', spec('warm')],
    ],
  },
};

export const resourceColumns = (
  { kind, columns }: CatalogRow,
  nowMs: number,
): readonly Column<ResourceRecord>[] => [
  { header: kind.toUpperCase(), value: ({ name }) => name, shrinks: true },
  ...columns.map(([header, value]) => ({
    header,
    value: (record: ResourceRecord) => shown(value(record)),
    shrinks: true,
  })),
  { header: 'SET', value: ({ set }) => set ?? '-', shrinks: true },
  { header: 'AGE', value: ({ createdAt }) => ago(createdAt, nowMs) },
];

/** What it is, and below it the document. */
export function resourceLines(
  row: CatalogRow,
  record: ResourceRecord,
  document: string,
  width: number,
): readonly string[] {
  const { name, spec: _, set, createdAt, revision, ...more } = record;
  const pairs: [string, string][] = [
    [row.kind, name],
    ['created', createdAt],
    ['revision', String(revision)],
    ['set', set ?? 'none'],
  ];
  for (const [key, value] of Object.entries(more)) pairs.push([wordsOf(key), shown(value)]);
  return [...listing(pairs, width), '', ...cleanLines(document)];
}

/** publishedAt: published at */
const wordsOf = (key: string) => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const shown = (value: unknown): string =>
  value === null || value === undefined || value === '' ? '-' : String(value);
