// `billet capacity` against a real coordinator with the recorder of machines: what is left, as machines
// are made and taken away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { billet } from '../../cli/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import type { Capacity } from '../../shared/schema/capacity.ts';
import { ClassSpec } from '../../shared/schema/class.ts';
import { NodeName, ResourceName } from '../../shared/schema/ids.ts';
import { PoolSpec } from '../../shared/schema/pool.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { RegionSpec } from '../../shared/schema/region.ts';
import { type Fixture, startFixture } from './coordinator-fixture.ts';

const named = (name: string) => ResourceName.parse(name);
let fixture: Fixture;

before(async () => {
  fixture = await startFixture({
    providers: { 'local-qemu': { mode: 'recorder', machinesMax: 4 } },
  });
  const { admin } = fixture;
  const region = RegionSpec.parse({ provider: 'local-qemu', machinesMax: 3 });
  const of = ClassSpec.parse({ region: 'here' });
  const pool = PoolSpec.parse({ class: 'worker' });
  await admin.call(routes.createRegion, { body: { name: named('here'), spec: region, set: null } });
  await admin.call(routes.createClass, { body: { name: named('worker'), spec: of, set: null } });
  await admin.call(routes.createPool, { body: { name: named('workers'), spec: pool, set: null } });
  for (const name of ['w-1', 'w-2'])
    await admin.call(routes.createNode, {
      body: { name: NodeName.parse(name), spec: NodeSpec.parse({ pool: 'workers' }), set: null },
    });
});
after(() => fixture.close());

const run = (...args: readonly string[]) =>
  billet(['capacity', ...args], {
    env: { BILLET_CONTEXT: fixture.coordinator.adminContextPath },
  });

async function capacity(): Promise<Capacity> {
  const { code, stdout, stderr } = await run('--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

test('providers, regions and pools say what they have and what they can still take', async () => {
  const { nodes, providers, regions, pools, states } = await capacity();
  assert.deepEqual(nodes, { total: 2, withoutInstance: 2 });
  assert.deepEqual(states, {});
  const qemu = providers.find(({ name }) => name === 'local-qemu');
  assert.deepEqual([qemu?.mode, qemu?.used, qemu?.max, qemu?.free], ['recorder', 0, 4, 4]);
  assert.deepEqual([regions[0]?.free, regions[0]?.bound], [3, 'region here']);
  assert.deepEqual([pools[0]?.provider, pools[0]?.free], ['local-qemu', 3]);
  assert.deepEqual(pools[0]?.warm, { wanted: 0, ready: 0, others: 0 });
});

test('an instance shows in its state, and its node no longer as without one', async () => {
  const params = { name: NodeName.parse('w-1') };
  await fixture.admin.call(routes.createInstance, { params });
  const { nodes, states, pools } = await capacity();
  assert.deepEqual(nodes, { total: 2, withoutInstance: 1 });
  assert.deepEqual(states, { pending: 1 });
  assert.deepEqual(pools[0]?.states, { pending: 1 });
});

test('people get tables that fit, and what is in the way with the next command', async () => {
  const params = { name: named('here') };
  const body = RegionSpec.parse({ provider: 'local-qemu', machinesMax: 0 });
  await fixture.admin.call(routes.putRegion, { params, body });
  const { code, stdout, stderr } = await run();
  assert.equal(code, 0, stderr);
  for (const line of stdout.split('\n')) assert.ok([...line].length <= 80, line);
  assert.match(stdout, /^local-qemu +recorder +0\/4 +4$/m);
  assert.match(stdout, /^finding +the region here is full: 0 of 0 machines$/m);
  assert.match(stdout, /^hint +raise its machinesMax: billet region show here --yaml/m);
});
