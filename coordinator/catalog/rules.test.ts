import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KINDS, referencesOf, SPECS } from '#shared/schema/catalog.ts';
import { ClassSpec } from '#shared/schema/class.ts';
import { ResourceName } from '#shared/schema/ids.ts';
import { PlatformSpec } from '#shared/schema/platform.ts';
import { PoolSpec } from '#shared/schema/pool.ts';
import { PublicationSpec } from '#shared/schema/publication.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { TemplateSpec } from '#shared/schema/template.ts';
import { currentOf, derive, NO_SOURCES, placed, type Sources, wantedOf } from './rules.ts';
import { bootImage, KEY_A, KEY_B, moduleRef } from './testing.ts';

const name = (text: string) => ResourceName.parse(text);

const sources: Sources = {
  ...NO_SOURCES,
  class: {
    name: name('worker'),
    spec: ClassSpec.parse({
      lifecycleClass: 'ephemeral',
      install: { profile: 'single', disk: { serial: 'd0' } },
    }),
  },
  template: {
    name: name('edge'),
    spec: TemplateSpec.parse({
      platform: 'debian',
      modules: [moduleRef('base'), moduleRef('web')],
      settings: {
        timezone: 'Asia/Tokyo',
        sshKeys: [KEY_A],
        modules: { web: { port: 80, tls: true } },
      },
    }),
  },
  platform: {
    name: name('debian'),
    spec: PlatformSpec.parse({ architecture: 'amd64', commandLine: 'quiet' }),
  },
  publication: {
    name: name('debian-1'),
    spec: PublicationSpec.parse({ platform: 'debian', boot: bootImage(), status: 'published' }),
  },
};

test('a node that names nothing comes to what its own spec says', () => {
  const spec = NodeSpec.parse({ modules: [moduleRef('base')], settings: { hostname: 'a' } });
  const derived = derive(spec, NO_SOURCES, null);
  assert.deepEqual(wantedOf(derived), {
    bootImage: null,
    install: null,
    modules: spec.modules,
    closure: null,
    settings: { hostname: 'a' },
  });
  assert.equal(derived.lifecycleClass, 'persistent');
});

test('a NixOS closure goes with service modules, and not with a system module of its template', () => {
  const closure = { storePath: `/nix/store/${'0'.repeat(32)}-nixos-system-web-24.11` };
  const alone = derive(NodeSpec.parse({ closure }), NO_SOURCES, null);
  assert.equal(alone.closure?.storePath, closure.storePath);
  const base = { ...moduleRef('base'), kind: 'system' as const };
  const template = { name: name('edge'), spec: TemplateSpec.parse({ modules: [base] }) };
  const both = () => derive(NodeSpec.parse({ closure }), { ...NO_SOURCES, template }, null);
  assert.throws(both, { code: 'REFERENCE_INVALID', hint: /withoutModules/ });
  const without = NodeSpec.parse({ closure, withoutModules: ['base'] });
  assert.deepEqual(derive(without, { ...NO_SOURCES, template }, null).modules, []);
});

test("a node's own spec goes over its template: modules by name, settings by key, keys together", () => {
  const own = NodeSpec.parse({
    modules: [moduleRef('web', '2.0.0', 'b'), moduleRef('probe')],
    withoutModules: ['base'],
    settings: { hostname: 'tokyo-1', sshKeys: [KEY_B, KEY_A], modules: { web: { port: 8080 } } },
  });
  const derived = derive(own, sources, null);
  assert.deepEqual(
    derived.modules.map((ref) => `${ref.name} ${ref.version}`),
    ['web 2.0.0', 'probe 1.0.0'],
  );
  assert.deepEqual(derived.settings, {
    hostname: 'tokyo-1',
    timezone: 'Asia/Tokyo',
    sshKeys: [KEY_A, KEY_B],
    modules: { web: { port: 8080, tls: true } },
  });
  assert.equal(derived.bootImage?.commandLine, 'quiet');
  assert.equal(derived.publication, 'debian-1');
});

test('the lifecycle class is that of the first instance, the node, its class, or persistent', () => {
  const spec = NodeSpec.parse({});
  assert.equal(derive(spec, sources, 'spot').lifecycleClass, 'spot');
  const own = NodeSpec.parse({ lifecycleClass: 'spot' });
  assert.equal(derive(own, sources, null).lifecycleClass, 'spot');
  assert.equal(derive(spec, sources, null).lifecycleClass, 'ephemeral');
  assert.equal(derive(spec, NO_SOURCES, null).lifecycleClass, 'persistent');
  assert.equal(derive(spec, sources, null).install?.disk.serial, 'd0');
});

test('what is not published is nobody’s boot image', () => {
  const draft = PublicationSpec.parse({ platform: 'debian', boot: bootImage() });
  const derived = derive(
    NodeSpec.parse({}),
    { ...sources, publication: { name: name('debian-1'), spec: draft } },
    null,
  );
  assert.equal(derived.bootImage, null);
  assert.equal(derived.publication, null);
});

test('too many modules together are refused, and say how many', () => {
  const many = (from: string) => Array.from({ length: 40 }, (_, at) => moduleRef(`${from}-${at}`));
  const template = { name: name('big'), spec: TemplateSpec.parse({ modules: many('a') }) };
  assert.throws(
    () => derive(NodeSpec.parse({ modules: many('b') }), { ...NO_SOURCES, template }, null),
    { code: 'STORE_LIMIT', message: /80 modules/ },
  );
});

test('a node is placed by itself, then its pool, then its class', () => {
  const pool = PoolSpec.parse({ class: 'worker', region: 'tokyo' });
  const of = ClassSpec.parse({ region: 'berlin', instanceType: 'small' });
  const spec = NodeSpec.parse({});
  assert.equal(placed('region', spec, pool, of), 'tokyo');
  assert.equal(placed('instanceType', spec, pool, of), 'small');
  assert.equal(placed('template', spec, null, undefined), null);
  assert.equal(placed('region', NodeSpec.parse({ region: 'paris' }), pool, of), 'paris');
});

test('the current publication is the one published last that still is, in whatever order they come', async () => {
  const one = fc.record({
    name: fc.integer({ min: 0, max: 9 }).map((n) => name(`p${n}`)),
    status: fc.constantFrom('draft', 'published', 'retired'),
    publishedAt: fc.integer({ min: 1, max: 5 }),
  });
  const all = fc.uniqueArray(one, { selector: (each) => each.name, maxLength: 8 });
  await fc.assert(
    fc.property(all, (list) => {
      const given = list.map(({ status, ...rest }) => ({ ...rest, spec: { status } as const }));
      const current = currentOf([...given]);
      assert.equal(current, currentOf([...given].reverse()));
      const live = given.filter(({ spec }) => spec.status === 'published');
      const newest = Math.max(...live.map(({ publishedAt }) => publishedAt));
      const found = live.find((each) => each.name === current);
      assert.equal(found?.publishedAt, live.length === 0 ? undefined : newest);
    }),
  );
});

test('deriving does not depend on what was derived before, and settles at once', () => {
  const spec = NodeSpec.parse({ settings: { sshKeys: [KEY_B] } });
  assert.deepEqual(derive(spec, sources, null), derive(spec, sources, null));
  const again = derive(
    NodeSpec.parse({ ...spec, ...wantedOf(derive(spec, sources, null)) }),
    sources,
    null,
  );
  assert.deepEqual(again.modules, derive(spec, sources, null).modules);
  assert.deepEqual(again.settings, derive(spec, sources, null).settings);
});

test('each kind names only kinds that stand before it, by fields that its schema has', () => {
  const everything = Object.fromEntries(
    [
      'architecture',
      'platform',
      'publication',
      'template',
      'class',
      'pool',
      'region',
      'instanceType',
    ].map((field) => [field, 'x']),
  );
  for (const [at, kind] of KINDS.entries())
    for (const { field, kind: to } of referencesOf(kind, everything)) {
      assert.ok(KINDS.indexOf(to) < at, `${kind} names ${to}`);
      assert.ok(field in SPECS[kind].shape, `${kind}.${field}`);
    }
});
