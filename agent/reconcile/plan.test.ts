import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '#shared/digest.ts';
import { ModuleName } from '#shared/schema/module.ts';
import { plan, settingsKey } from './plan.ts';
import type { Step } from './steps.ts';
import { desiredOf, type TestModule, testModule } from './testing.ts';
import type { AttachedService, Observed, Wanted } from './world.ts';

const EMPTY: Observed = {
  held: [],
  stored: [],
  full: false,
  services: [],
  unfinished: [],
  booted: { systemImage: sha256('booted'), bootImage: null, manifests: [] },
  staged: null,
  nix: null,
  slots: null,
  settings: '{}',
};
const QUIET = { sweep: false, leave: false, rejected: false, held: 'nothing' } as const;
const wanted = (desired: Wanted['desired'], settled = false): Wanted => ({
  desired,
  keep: [],
  settled,
  ...QUIET,
});
const kinds = (steps: readonly Step[]) => steps.map(({ kind }) => kind);
const attached = (module: Pick<TestModule, 'ref'>, healthy = true): AttachedService => ({
  module: module.ref,
  ...{ settings: '{}', healthy, requires: [], persistent: [] },
});

const web = testModule('web');
const web2 = testModule('web', { files: 'web 2', sequence: 2 });
const webAgain = testModule('web', { sequence: 3 });
const base = testModule('base', { kind: 'system' });

test('a new image is pulled, then the old one stops, then the new one starts', () => {
  const observed = { ...EMPTY, held: [web.ref.manifest], services: [attached(web)] };
  const steps = plan(wanted(desiredOf(2, [web2])), observed);
  assert.deepEqual(kinds(steps), [
    'pull-module',
    'check-modules',
    'detach-service',
    'attach-service',
  ]);
});

test('a changed manifest on the same image is attached again, without a detach', () => {
  const observed = { ...EMPTY, held: [web.ref.manifest], services: [attached(web)] };
  const steps = plan(wanted(desiredOf(2, [webAgain])), observed);
  assert.deepEqual(kinds(steps), ['pull-module', 'check-modules', 'reattach-service']);
});

test('a service that died, and one with new settings, are attached again', () => {
  const held = [web.ref.manifest];
  const dead = { ...EMPTY, held, services: [attached(web, false)] };
  assert.deepEqual(kinds(plan(wanted(desiredOf(1, [web])), dead)), [
    'check-modules',
    'reattach-service',
  ]);
  const settings = { modules: { [web.ref.name]: { port: 81 } } };
  const running = { ...EMPTY, held, services: [attached(web)] };
  const steps = plan(wanted(desiredOf(2, [web], settings)), running);
  assert.deepEqual(kinds(steps), ['check-modules', 'reattach-service']);
});

test('a system that was rejected is left once the one to go back to is staged, not before', () => {
  const held = [base.ref.manifest];
  const desired = desiredOf(2, [base]);
  const leave = { ...wanted(desired), leave: true };
  const observed = { ...EMPTY, held };
  assert.deepEqual(kinds(plan(leave, observed)), ['check-modules', 'stage-system']);
  const staged = { generation: 2, systemImage: sha256('s'), bootImage: null, manifests: held };
  assert.deepEqual(kinds(plan(leave, { ...observed, staged })), ['restart-machine']);
  assert.deepEqual(plan(wanted(desired), { ...observed, staged }), []);
});

test('system modules are staged, once, and taken back', () => {
  const held = [base.ref.manifest];
  const desired = desiredOf(2, [base]);
  const [, step] = plan(wanted(desired), { ...EMPTY, held });
  assert.equal(step?.kind, 'stage-system');
  const staged = { generation: 2, systemImage: sha256('s'), bootImage: null, manifests: held };
  assert.deepEqual(plan(wanted(desired), { ...EMPTY, held, staged }), []);
  assert.deepEqual(kinds(plan(wanted(desiredOf(3, [])), { ...EMPTY, staged })), ['unstage-system']);
});

test('on a system that Billet did not boot, system modules and settings are left alone', () => {
  const desired = desiredOf(1, [base, web], { hostname: 'web-1' });
  const steps = plan(wanted(desired), { ...EMPTY, booted: null, settings: null });
  assert.deepEqual(kinds(steps), ['pull-module', 'check-modules', 'attach-service']);
});

test('garbage goes only once the generation is good, and never what runs or may come back', () => {
  const observed = {
    ...EMPTY,
    held: [web.ref.manifest],
    stored: [web.ref.manifest, web2.ref.manifest, base.ref.manifest],
    services: [attached(web)],
    booted: { systemImage: sha256('s'), bootImage: null, manifests: [base.ref.manifest] },
  };
  const desired = desiredOf(1, [web, base]);
  assert.deepEqual(plan(wanted(desired), { ...observed, held: observed.stored }), []);
  const [step] = plan(wanted(desired, true), { ...observed, held: observed.stored });
  assert.ok(step?.kind === 'collect-garbage');
  assert.deepEqual(step.modules, [web.ref.manifest, base.ref.manifest].sort());
  assert.ok(step.images.includes(sha256('s')));
  const kept = { desired, keep: [web2.ref], settled: true, ...QUIET } as const;
  assert.deepEqual(plan(kept, { ...observed, held: observed.stored }), []);
  // What a pull that was cut off has left shows in no list.
  assert.deepEqual(kinds(plan({ ...kept, sweep: true }, { ...observed, held: observed.stored })), [
    'collect-garbage',
  ]);
});

/** Without the check that comes before. */
const changes = (steps: readonly Step[]) => kinds(steps).filter((kind) => kind !== 'check-modules');

test('a service in the middle of something starts over from nothing, or goes if nobody wants it', () => {
  const { name } = web.ref;
  const half = { ...EMPTY, held: [web.ref.manifest], unfinished: [name] };
  for (const services of [[], [attached(web)], [attached(web2)]]) {
    const steps = plan(wanted(desiredOf(1, [web])), { ...half, services });
    assert.deepEqual(changes(steps), ['detach-service', 'attach-service']);
    assert.deepEqual(changes(plan(wanted(desiredOf(1, [])), { ...half, services })), [
      'detach-service',
    ]);
  }
});

test('settings are equal whatever the order of their keys', () => {
  const json = fc.json().map((text) => JSON.parse(text));
  const reversed = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(reversed);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([k, v]) => [k, reversed(v)]),
    );
  };
  return fc.assert(
    fc.property(json, (value) => settingsKey(value) === settingsKey(reversed(value))),
  );
});

const anyModule = fc
  .record({
    name: fc.constantFrom('dns', 'web', 'ntp', 'base', 'extra'),
    files: fc.constantFrom('a', 'b'),
    sequence: fc.integer({ min: 1, max: 3 }),
  })
  .map(({ name, files, sequence }) =>
    testModule(name, {
      kind: name === 'base' || name === 'extra' ? 'system' : 'service',
      files,
      sequence,
    }),
  );
const modules = fc.uniqueArray(anyModule, { selector: ({ ref }) => ref.name });
const names = fc.uniqueArray(fc.constantFrom('dns', 'web').map((name) => ModuleName.parse(name)));
const settings = fc.record({ hostname: fc.constantFrom('a', 'b') });

test('a node that took every step has nothing left to do, and downloads came before stops', () =>
  fc.assert(
    fc.property(
      modules,
      modules,
      settings,
      fc.boolean(),
      names,
      (before, after, config, settled, unfinished) => {
        const first = [desiredOf(1, before)].reduce(converge, { ...EMPTY, settings: null });
        const start = { ...first, unfinished };
        const desired = desiredOf(2, after, config);
        const steps = plan(wanted(desired, settled), start);
        const stops = steps.findIndex(
          ({ kind }) => kind === 'detach-service' || kind === 'reattach-service',
        );
        const pulls = steps.findLastIndex(
          ({ kind }) => kind === 'pull-module' || kind === 'stage-system',
        );
        assert.ok(stops < 0 || pulls < stops);
        const end = converge(steps.reduce(take, start), desired);
        assert.deepEqual(plan(wanted(desired), end), []);
        assert.deepEqual(
          end.services.map(({ module }) => module.manifest).sort(),
          after
            .filter(({ ref }) => ref.kind === 'service')
            .map(({ ref }) => ref.manifest)
            .sort(),
        );
        // Settled, at most one more pass that removes garbage.
        const tidy = plan(wanted(desired, true), end).reduce(take, end);
        assert.deepEqual(plan(wanted(desired, true), tidy), []);
      },
    ),
  ));

const converge = (node: Observed, desired: Wanted['desired']): Observed =>
  plan(wanted(desired), node).reduce(take, node);

/** The model of a node: what one step changes, when it works. */
function take(node: Observed, step: Step): Observed {
  const without = (name: string) => node.services.filter(({ module }) => module.name !== name);
  switch (step.kind) {
    case 'pull-module': {
      const { manifest } = step.module;
      return { ...node, held: [...node.held, manifest], stored: [...node.stored, manifest] };
    }
    case 'stage-system': {
      const { generation, bootImage } = step;
      const manifests = step.modules.map(({ manifest }) => manifest).sort();
      return { ...node, staged: { generation, bootImage, manifests, systemImage: sha256('s') } };
    }
    case 'check-modules':
    case 'keep-slots':
    case 'pull-closure':
    case 'activate-closure':
    case 'collect-closures':
      return node;
    case 'unstage-system':
      return { ...node, staged: null };
    case 'restart-machine':
      return { ...node, booted: node.staged, staged: null };
    case 'write-settings':
      return { ...node, settings: settingsKey(step.settings) };
    case 'detach-service':
      return {
        ...node,
        services: without(step.name),
        unfinished: node.unfinished.filter((name) => name !== step.name),
      };
    case 'attach-service':
    case 'reattach-service': {
      const { module, settings: values } = step;
      const service = { ...attached({ ref: module }), settings: settingsKey(values) };
      return { ...node, services: [...without(module.name), service] };
    }
    case 'collect-garbage': {
      const stays = (manifest: Observed['held'][number]) => step.modules.includes(manifest);
      return { ...node, held: node.held.filter(stays), stored: node.stored.filter(stays) };
    }
  }
}
