// What a node comes to: its own spec over what its template, class and pool say. Pure; who reads the
// records, and what follows from a change of them, is elsewhere.

import { BilletError } from '#shared/errors.ts';
import type { CatalogKind } from '#shared/schema/catalog.ts';
import type { ClassSpec, LifecycleClass } from '#shared/schema/class.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import type { InstanceTypeSpec } from '#shared/schema/instance-type.ts';
import type { ModuleName, ModuleRef } from '#shared/schema/module.ts';
import type { PlatformSpec } from '#shared/schema/platform.ts';
import type { PoolSpec } from '#shared/schema/pool.ts';
import type { PublicationSpec } from '#shared/schema/publication.ts';
import type { Derived, NodeSpec } from '#shared/schema/records.ts';
import type { RegionSpec } from '#shared/schema/region.ts';
import type { Settings } from '#shared/schema/settings.ts';
import type { TemplateSpec } from '#shared/schema/template.ts';

/** As many as desired state carries. */
const MODULES_MAX = 64;
const SSH_KEYS_MAX = 64;

interface Named<S> {
  readonly name: ResourceName;
  readonly spec: S;
}

/** The records that a node is made from; null where neither it nor they name one. */
export interface Sources {
  readonly pool: Named<PoolSpec> | null;
  readonly class: Named<ClassSpec> | null;
  readonly template: Named<TemplateSpec> | null;
  readonly platform: Named<PlatformSpec> | null;
  /** What the template pins, or else what its platform has published. */
  readonly publication: Named<PublicationSpec> | null;
  readonly region: Named<RegionSpec> | null;
  readonly instanceType: Named<InstanceTypeSpec> | null;
}

/** Of a node that names nothing. */
export const NO_SOURCES: Sources = {
  pool: null,
  class: null,
  template: null,
  platform: null,
  publication: null,
  region: null,
  instanceType: null,
};

type Placed = Pick<NodeSpec, 'template' | 'region' | 'instanceType'>;

/** The name that counts: the node's own, its pool's, or its class's. */
export const placed = (
  field: keyof Placed,
  ...layers: readonly (Placed | null | undefined)[]
): ResourceName | null => layers.find((layer) => layer?.[field])?.[field] ?? null;

/**
 * What the node should be. `fixed` is the lifecycle class that its first instance settled. Throws
 * REFERENCE_INVALID when the parts do not go together, STORE_LIMIT when they are too many.
 */
export function derive(spec: NodeSpec, sources: Sources, fixed: LifecycleClass | null): Derived {
  const { template, platform, publication, region, instanceType } = sources;
  if (region && instanceType && region.spec.provider !== instanceType.spec.provider)
    throw unfit(
      `the instance type ${instanceType.name} is one of ${instanceType.spec.provider}, the region ${region.name} one of ${region.spec.provider}`,
    );
  const published = publication?.spec.status === 'published' ? publication : null;
  const image = published && withWords(published.spec.boot, platform?.spec.commandLine ?? '');
  const modules = mergeModules(template?.spec.modules ?? [], spec);
  if (spec.closure !== null) assertNoSystem(modules);
  return {
    class: sources.class?.name ?? null,
    template: template?.name ?? null,
    platform: platform?.name ?? null,
    publication: spec.bootImage === null ? (published?.name ?? null) : null,
    region: region?.name ?? null,
    instanceType: instanceType?.name ?? null,
    lifecycleClass:
      fixed ?? spec.lifecycleClass ?? sources.class?.spec.lifecycleClass ?? 'persistent',
    install: spec.install ?? sources.class?.spec.install ?? null,
    bootImage: spec.bootImage ?? image,
    modules,
    closure: spec.closure,
    settings: mergeSettings(template?.spec.settings ?? {}, spec.settings),
  };
}

/** Whether a change of that record may change what the node comes to. */
export function dependsOn(
  node: { readonly spec: NodeSpec; readonly derived: Derived },
  kind: CatalogKind,
  name: string,
): boolean {
  const { spec, derived } = node;
  switch (kind) {
    case 'pool':
      return spec.pool === name;
    case 'class':
      return derived.class === name;
    case 'template':
      return derived.template === name;
    case 'platform':
      return derived.platform === name;
    case 'region':
      return derived.region === name;
    case 'instance-type':
      return derived.instanceType === name;
    default:
      return false;
  }
}

/** Kinds whose change has to reach nodes. A publication does so through its platform. */
export const reachesNodes = (kind: CatalogKind): boolean =>
  kind === 'pool' || kind === 'class' || kind === 'template' || kind === 'platform';

/** What counts for a new generation: what the node is sent. */
export const wantedOf = ({ bootImage, install, modules, closure, settings }: Derived) => ({
  bootImage,
  install,
  modules,
  closure,
  settings,
});

/** The one of a platform that was published last and still is. */
export function currentOf(
  publications: readonly {
    readonly name: ResourceName;
    readonly spec: Pick<PublicationSpec, 'status'>;
    readonly publishedAt: number | null;
  }[],
): ResourceName | null {
  const live = publications.filter(({ spec }) => spec.status === 'published');
  const newest = live.sort(
    (a, b) => (b.publishedAt ?? 0) - (a.publishedAt ?? 0) || (a.name < b.name ? 1 : -1),
  )[0];
  return newest?.name ?? null;
}

/** In the template's order, those of the node in place or behind. */
function mergeModules(base: readonly ModuleRef[], spec: NodeSpec): ModuleRef[] {
  const byName = new Map<ModuleName, ModuleRef>(base.map((ref) => [ref.name, ref]));
  for (const name of spec.withoutModules) byName.delete(name);
  for (const ref of spec.modules) byName.set(ref.name, ref);
  if (byName.size <= MODULES_MAX) return [...byName.values()];
  throw tooMany('modules', byName.size, MODULES_MAX);
}

/** The node's own values replace the template's; keys of both get in; modules are merged by key. */
function mergeSettings(base: Settings, own: Settings): Settings {
  const sshKeys = [...new Set([...(base.sshKeys ?? []), ...(own.sshKeys ?? [])])];
  if (sshKeys.length > SSH_KEYS_MAX) throw tooMany('SSH keys', sshKeys.length, SSH_KEYS_MAX);
  const modules = { ...base.modules };
  for (const [name, values] of Object.entries(own.modules ?? {}))
    modules[name as ModuleName] = { ...modules[name as ModuleName], ...values };
  return {
    ...base,
    ...own,
    ...(sshKeys.length === 0 ? {} : { sshKeys }),
    ...(Object.keys(modules).length === 0 ? {} : { modules }),
  };
}

const withWords = (image: BootImage, words: string): BootImage => ({
  ...image,
  commandLine: [words, image.commandLine].filter((part) => part !== '').join(' '),
});

/** A node has one system: merged from modules, or a NixOS closure. */
function assertNoSystem(modules: readonly ModuleRef[]): void {
  const system = modules.find(({ kind }) => kind === 'system');
  if (system === undefined) return;
  throw new BilletError(
    'REFERENCE_INVALID',
    `a NixOS closure and the system module ${system.name}`,
    {
      hint: `take the closure out of the node, or ${system.name} (withoutModules, if its template brings it)`,
    },
  );
}

const unfit = (message: string) =>
  new BilletError('REFERENCE_INVALID', message, {
    hint: 'name a region and an instance type of one provider',
  });

const tooMany = (what: string, count: number, most: number) =>
  new BilletError('STORE_LIMIT', `template and node together have ${count} ${what}`, {
    hint: `at most ${most}: take some out of the template or the node`,
  });
