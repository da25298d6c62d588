import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { ModuleRef } from '#shared/schema/module.ts';
import type { Drift } from '#shared/schema/signal.ts';
import type { Sight } from '../rules.ts';
import { driftBetween, driftSight, type Follower, type Running, type Said } from './rules.ts';

const LIMITS = { silentAfterMs: 300_000, driftAfterMs: 120_000 };
const NOW = Date.UTC(2026, 10, 21);
const STEADY = { now: NOW, steadyMs: LIMITS.silentAfterMs };
const digest = (n: number) => `sha256:${String(n).padStart(64, '0')}`;

const SAID: Said = { generation: 1, conditions: [], lastReconcile: { outcome: 'converged' } };
const follower = (fields: Partial<Follower> = {}): Follower => ({
  id: InstanceId.parse('i-0123456789abcdef'),
  node: NodeName.parse('web-1'),
  state: 'running',
  stateSince: NOW - 3_600_000,
  lastSeenAt: NOW - 10_000,
  isQuiet: false,
  needsToken: false,
  bootOrdered: false,
  group: 'pool edge',
  generation: 1,
  rejected: null,
  isAhead: false,
  drift: null,
  differsMs: 0,
  said: SAID,
  ...fields,
});

const moduleOf = fc.record({
  name: fc.constantFrom('base', 'kernel', 'web', 'metrics', 'db'),
  kind: fc.constantFrom('system', 'service'),
  manifest: fc.integer({ min: 0, max: 2 }).map(digest),
  state: fc.constantFrom('attached', 'failed'),
});
type Made = { name: string; kind: string; manifest: string; state: string };
const setOf = fc.uniqueArray(moduleOf, { selector: ({ name }) => name });
const refOf = ({ name, kind, manifest }: Made): ModuleRef =>
  ModuleRef.parse({ name, kind, manifest, image: manifest, version: '1.0.0', repository: name });
const runningOf = (modules: readonly Made[], isManaged: boolean): Running =>
  ({
    modules: modules.map(({ name, kind, manifest, state }) => ({
      ...{ name, version: '1.0.0', manifest, image: manifest },
      state: kind === 'system' ? 'merged' : state,
    })),
    ...(isManaged ? { systemImage: digest(9) } : {}),
  }) as Running;

const named = (list: Drift['attach'] | undefined): string[] =>
  (list ?? []).map(({ module }) => module);

test('doing what attach, detach and update say leaves nothing to do, and each module stands once', async () => {
  await fc.assert(
    fc.property(setOf, setOf, fc.boolean(), (wanted, running, isManaged) => {
      const refs = wanted.map(refOf);
      const drift = driftBetween(refs, runningOf(running, isManaged));
      const all = [drift?.attach, drift?.detach, drift?.update].flatMap(named);
      assert.equal(new Set(all).size, all.length);
      if (drift === null) return;
      const mended = [
        ...running.filter(({ name }) => !all.includes(name)),
        ...wanted.filter(({ name }) => all.includes(name) && !named(drift.detach).includes(name)),
      ].map((one) => ({ ...one, state: 'attached' }));
      assert.equal(driftBetween(refs, runningOf(mended, isManaged)), null);
    }),
  );
});

test('what runs as wanted is no drift, and neither is what was not measured', async () => {
  await fc.assert(
    fc.property(setOf, fc.boolean(), (wanted, isManaged) => {
      const healthy = wanted.map((one) => ({ ...one, state: 'attached' }));
      assert.equal(driftBetween(wanted.map(refOf), runningOf(healthy, isManaged)), null);
      assert.equal(driftBetween(wanted.map(refOf), {}), null);
    }),
  );
});

test('on a system that Billet did not boot only services are compared', () => {
  const base = refOf({ name: 'base', kind: 'system', manifest: digest(1), state: '' });
  assert.equal(driftBetween([base], runningOf([], false)), null);
  assert.deepEqual(named(driftBetween([base], runningOf([], true))?.attach), ['base']);
});

const findingOf = (sight: Sight) => {
  assert.equal(sight.is, 'found');
  return sight.is === 'found' ? sight.finding : assert.fail();
};

const DOWN: Drift = {
  attach: [
    {
      module: 'web' as never,
      wanted: { version: '1.0.0', manifest: digest(1) as never },
      running: { version: '1.0.0', manifest: digest(1) as never, state: 'failed' },
    },
  ],
  detach: [],
  update: [],
};

test('a node gets its time, more of it while it pulls, and none when it says that it failed', () => {
  const at = (differsMs: number, said: Partial<Said> = {}, generation = 1) =>
    driftSight(
      follower({ drift: DOWN, differsMs, generation, said: { ...SAID, ...said } }),
      STEADY,
      LIMITS,
    ).is;
  assert.equal(at(119_000), 'unknown');
  assert.equal(at(120_000), 'found');
  assert.equal(at(599_000, {}, 2), 'unknown');
  assert.equal(at(600_000, {}, 2), 'found');
  assert.equal(at(120_000, { lastReconcile: { outcome: 'failed' } }, 2), 'found');
});

test('drift of who is silent, quiet, held back or not running is not told', () => {
  const at = (fields: Partial<Follower>) =>
    driftSight(follower({ drift: DOWN, differsMs: 999_000, ...fields }), STEADY, LIMITS).is;
  assert.equal(at({}), 'found');
  assert.equal(at({ lastSeenAt: NOW - 300_000 }), 'unknown');
  assert.equal(at({ isQuiet: true }), 'unknown');
  assert.equal(at({ said: null }), 'unknown');
  assert.equal(at({ isAhead: true }), 'clear');
  assert.equal(at({ state: 'draining' }), 'clear');
  assert.equal(at({ drift: null }), 'clear');
});

test('the cause is what the node said, and the remedy stops nothing that runs', () => {
  const found = (fields: Partial<Follower>) =>
    findingOf(driftSight(follower({ drift: DOWN, differsMs: 999_000, ...fields }), STEADY, LIMITS));
  const rejected = found({ rejected: 'PROBE_FAILED: web does not answer' });
  assert.match(rejected.cause, /generation 1 was rejected: PROBE_FAILED/);
  assert.deepEqual(rejected.steps, []);
  const staged = found({ said: { ...SAID, staged: 1 } });
  assert.deepEqual(staged.steps, ['reboot']);
  const condition = { code: 'SIGNATURE_INVALID', text: 'no key fits', hint: 'sign it' };
  const failed = {
    ...SAID,
    lastReconcile: {
      outcome: 'failed',
      code: 'SIGNATURE_INVALID',
      message: 'web: no key',
    } as const,
    conditions: [condition],
  };
  const unsigned = found({ said: failed });
  assert.equal(unsigned.cause, 'SIGNATURE_INVALID: web: no key');
  assert.equal(unsigned.hint, 'sign it');
  assert.ok(unsigned.steps.includes('restart'));
  const old = { attach: [], detach: [], update: DOWN.attach };
  assert.ok(!found({ drift: old, said: failed }).steps.includes('restart'));
});
