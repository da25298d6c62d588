// What a plan does before it changes anything: makes room, pulls, checks.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plan } from './plan.ts';
import { desiredOf, testModule } from './testing.ts';
import type { Observed, Wanted } from './world.ts';

const [web, web2] = [testModule('web'), testModule('web', { files: 'web 2', sequence: 2 })];
const old = testModule('old');
const RUNS = { settings: '{}', healthy: true, requires: [], persistent: [] };

const wanted: Wanted = {
  ...{ desired: desiredOf(2, [web2]), keep: [], settled: false },
  ...{ sweep: false, leave: false, rejected: false, held: 'nothing' },
};
const observed: Observed = {
  ...{ held: [], stored: [web.ref.manifest, old.ref.manifest], unfinished: [], full: true },
  ...{ booted: null, staged: null, nix: null, slots: null, settings: '{}' },
  services: [{ module: web.ref, ...RUNS }],
};

test('a store without room is cleared before the pull, of what nothing worth keeping names', () => {
  const [clear, pull, check, stop, start] = plan(wanted, observed);
  assert.ok(clear?.kind === 'collect-garbage');
  // What runs stays until its successor is here, and so does what is wanted; the old module goes.
  assert.deepEqual(clear.modules, [web.ref.manifest, web2.ref.manifest].sort());
  assert.deepEqual(clear.images, [web.ref.image, web2.ref.image].sort());
  assert.ok(pull?.kind === 'pull-module' && check?.kind === 'check-modules');
  assert.deepEqual([stop?.kind, start?.kind], ['detach-service', 'attach-service']);
  // Mutation: nobody says that it is full.
  assert.equal(plan(wanted, { ...observed, full: false })[0]?.kind, 'pull-module');
});

test('a good generation to go back to keeps its modules, however full the store', () => {
  const [clear] = plan({ ...wanted, keep: [old.ref] }, observed);
  assert.ok(clear?.kind === 'collect-garbage' && clear.modules.includes(old.ref.manifest));
});

test('modules are checked against each other before anything stops, and not when nothing changes', () => {
  const base = testModule('base', { kind: 'system' });
  const desired = desiredOf(2, [web2, base]);
  const held = { ...observed, held: [web2.ref.manifest], full: false };
  const [check, stop] = plan({ ...wanted, desired }, held);
  assert.ok(check?.kind === 'check-modules' && stop?.kind === 'detach-service');
  // The system is not Billet's: its modules are not here, and count as present.
  assert.deepEqual(check.present, ['web', 'base']);
  assert.deepEqual(check.modules, [web2.ref]);
  const services = [{ module: web2.ref, ...RUNS }];
  assert.deepEqual(plan({ ...wanted, desired }, { ...held, services }), []);
});
