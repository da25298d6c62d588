// A catalogue in memory for tests: a store, a registry that has everything, and records to begin with.

import { type Clock, systemClock } from '#shared/clock.ts';
import { type CatalogKind, SPECS } from '#shared/schema/catalog.ts';
import { BootImage } from '#shared/schema/desired.ts';
import { NodeName, ResourceName } from '#shared/schema/ids.ts';
import { ModuleRef } from '#shared/schema/module.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { createNode } from '../nodes/node-writes.ts';
import { records as openRecords, type Records } from '../records.ts';
import type { Found } from '../store/collection.ts';
import { sqliteStore } from '../store/sqlite.ts';
import type { Store } from '../store/store.ts';
import type { CatalogRecord } from './records.ts';
import { type CatalogDeps, createResource, putResource } from './writes.ts';

export const ANN = 'operator:ann';
export const BOB = 'operator:bob';

export const digestOf = (letter: string) => `sha256:${letter.repeat(64)}`;

export const moduleRef = (name: string, version = '1.0.0', letter = 'a'): ModuleRef =>
  ModuleRef.parse({
    name,
    kind: 'system',
    version,
    repository: name,
    manifest: digestOf(letter),
    image: digestOf(letter),
  });

export const bootImage = (letter = 'a'): BootImage =>
  BootImage.parse({
    repository: 'boot',
    manifest: digestOf(letter),
    kernel: digestOf(letter),
    initramfs: digestOf(letter),
    kernelRelease: '6.12.0',
  });

export interface TestCatalog extends CatalogDeps {
  readonly records: Records;
  create(
    kind: CatalogKind,
    name: string,
    spec: object,
    actor?: string,
  ): Promise<Found<CatalogRecord>>;
  put(
    kind: CatalogKind,
    name: string,
    spec: object,
    ifMatch?: number | null,
  ): Promise<Found<CatalogRecord>>;
  node(name: string, spec?: object): ReturnType<typeof createNode>;
  /** Kinds of the events so far, in order. */
  events(): Promise<string[]>;
  close(): Promise<void>;
}

/** `wrap` puts itself before the store; `missing` is a digest that the registry has not. */
export function testCatalog(
  options: {
    readonly clock?: Clock;
    readonly missing?: string;
    readonly wrap?: (store: Store) => Store;
  } = {},
): TestCatalog {
  const { clock = systemClock, missing, wrap = (store) => store } = options;
  const store = wrap(sqliteStore({ path: ':memory:' }));
  const records = openRecords(store, clock);
  const images = { holds: async (_: string, digest: string) => digest !== missing };
  const deps = { records, images };
  const named = (kind: CatalogKind, name: string, spec: object) => ({
    kind,
    name: ResourceName.parse(name),
    spec: SPECS[kind].parse(spec),
  });
  return {
    ...deps,
    create: (kind, name, spec, actor = ANN) =>
      createResource(deps, actor, { ...named(kind, name, spec), set: null }),
    put: (kind, name, spec, ifMatch = null) =>
      putResource(deps, ANN, { ...named(kind, name, spec), ifMatch }),
    node: (name, spec = {}) =>
      createNode(records, ANN, { name: NodeName.parse(name), spec: NodeSpec.parse(spec) }),
    async events() {
      const kinds: string[] = [];
      for await (const { record } of records.events.all()) kinds.push(record.kind);
      return kinds;
    },
    close: () => store.close(),
  };
}

/** amd64, a platform with one published image, and a template `edge` of two modules. */
export async function withEdge(catalog: TestCatalog): Promise<void> {
  await catalog.create('architecture', 'amd64', { machine: 'x86_64', oci: 'amd64' });
  await catalog.create('platform', 'debian', { architecture: 'amd64', commandLine: 'quiet' });
  const spec = { platform: 'debian', boot: bootImage(), status: 'published' };
  await catalog.create('publication', 'debian-1', spec);
  await catalog.create('template', 'edge', {
    platform: 'debian',
    modules: [moduleRef('base'), moduleRef('web')],
    settings: {
      timezone: 'Asia/Tokyo',
      sshKeys: [KEY_A],
      modules: { web: { port: 80, tls: true } },
    },
  });
}

export const KEY_A = 'ssh-ed25519 AAAA ann';
export const KEY_B = 'ssh-ed25519 BBBB bob';
