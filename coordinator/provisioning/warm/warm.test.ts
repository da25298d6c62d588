// Warm pools over a provider in memory: filled, claimed, filled again, changed, and emptied.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Desired } from '#shared/schema/desired.ts';
import { moduleRef } from '../../catalog/testing.ts';
import { recordHeartbeat } from '../../nodes/heartbeat-writes.ts';
import { terminate } from '../../nodes/instance-end.ts';
import { generationKey, type InstanceRecord } from '../../nodes/records.ts';
import { only } from '../testing.ts';
import { coded, eventsOf, recordOf, type Tried, withLife } from '../testing-life.ts';
import {
  change,
  create,
  fillUp,
  getReady,
  heartbeat,
  makePool,
  poolSpec,
  waiting,
} from './testing.ts';

const EDGE = { bootImage: null, pool: 'edge' };

async function desiredOf({ records }: Tried, { id, generation }: InstanceRecord): Promise<Desired> {
  const found = await records.desired.get(generationKey(id, generation));
  const { payload } = found?.record ?? assert.fail('no desired state');
  return Desired.parse(JSON.parse(Buffer.from(payload, 'base64').toString()));
}

test('a pool is filled with instances that have no node and nothing of one, and a claim gives one its node in a commit', () =>
  withLife({}, async (one) => {
    await makePool(one, 2);
    await fillUp(one);
    const warm = await waiting(one);
    assert.deepEqual(
      warm.map(({ state, pool, lifecycleClass }) => [state, pool, lifecycleClass]),
      [1, 2].map(() => ['running', 'edge', 'ephemeral']),
    );
    const [first] = warm.toSorted((a, b) => a.createdAt - b.createdAt);
    assert.ok(first);
    assert.equal(first.node, first.id as string);
    const before = await desiredOf(one, first);
    assert.deepEqual([before.node, before.settings], [first.id, {}]);

    const node = await one.node('web-1', { ...EDGE, settings: { hostname: 'web-1' } });
    const made = one.world.calls.length;
    const revision = (await one.records.store.get('x')).revision;
    const id = only(await one.ask([node], 'call-1', true));
    assert.equal((await one.records.store.get('x')).revision, revision + 1, 'one commit');
    assert.equal(one.world.calls.length, made, 'no provider was asked');
    assert.ok(warm.some((each) => each.id === id));
    const claimed = await recordOf(one, id);
    assert.deepEqual(
      [claimed.node, claimed.pool, claimed.state, claimed.generation, claimed.lifecycleClass],
      ['web-1', null, 'bootstrapping', 2, 'persistent'],
    );
    const { node: named, settings, generation } = await desiredOf(one, claimed);
    assert.deepEqual([named, settings.hostname, generation], ['web-1', 'web-1', 2]);
    assert.equal((await one.records.nodes.get(node))?.record.instance, id);
    assert.equal((await one.records.nodes.get(node))?.record.generation, 2);

    // Ready as what it was before is not ready as the node.
    await recordHeartbeat(one.records, id, heartbeat(claimed, 1));
    assert.equal((await recordOf(one, id)).state, 'bootstrapping');
    await getReady(one.records, id);
    assert.equal((await recordOf(one, id)).state, 'running');
    assert.equal(only(await one.ask([node], 'call-1', true)), id, 'the same call again');

    await fillUp(one);
    assert.equal((await waiting(one)).length, 2, 'filled again');
    assert.equal(one.world.machines.size, 3);
  }));

test('two nodes that claim at once get two instances, and a third one is told why there is none', () =>
  withLife({}, async (one) => {
    await makePool(one, 2);
    await fillUp(one);
    const names = ['a', 'b', 'c'];
    const nodes = await Promise.all(names.map((name) => one.node(name, EDGE)));
    const results = await Promise.all(nodes.map((node) => one.ask([node], null, true)));
    const ids = results.flatMap((items) => items.flatMap(({ instance }) => instance ?? []));
    assert.equal(new Set(ids).size, 2);
    const faults = results.flatMap((items) => items.flatMap(({ fault }) => fault ?? []));
    assert.deepEqual(
      faults.map(({ code }) => code),
      ['POOL_EMPTY'],
    );
    assert.match(faults[0]?.hint ?? '', /billet instance list.*--from-pool/);
    const [left] = await Promise.all(
      results.flatMap((items) =>
        items.flatMap(({ node, instance }) => (instance ? [] : [one.records.nodes.get(node)])),
      ),
    );
    assert.equal(left?.record.instance, null, 'nothing half done');
    await assert.rejects(one.ask([nodes[0] ?? assert.fail()], null, true), coded('CONFLICT'));
  }));

test('a node of no pool, of another boot image or of another size gets none, and each is told apart', () =>
  withLife({}, async (one) => {
    await makePool(one, 1);
    await fillUp(one);
    const why = async (name: string, spec: object) => {
      const [item] = await one.ask([await one.node(name, spec)], null, true);
      assert.equal(item?.fault?.code, 'POOL_EMPTY');
      return item.fault.message;
    };
    assert.match(await why('none', {}), /of no pool/);
    assert.match(await why('other', { pool: 'edge' }), /another image/);
    const big = { cpuCount: 8 };
    const type = { provider: 'local-qemu', architecture: 'amd64', shape: big };
    await change(one, 'instance-type', 'small', type);
    await change(one, 'pool', 'edge', poolSpec(1, { description: 'other machines' }));
    for (const { machine } of await waiting(one)) assert.equal(machine?.shape.cpuCount, 2);
    await fillUp(one);
    for (const { machine } of await waiting(one)) assert.equal(machine?.shape.cpuCount, 8);
    await create(one, 'instance-type', 'tiny', { ...type, shape: {} });
    const tiny = { ...EDGE, instanceType: 'tiny' };
    assert.match(await why('small', tiny), /none that is ready and fits|no instance that is ready/);
  }));

test('when the template changes, waiting instances are replaced one at a time; what was claimed is left to its node', () =>
  withLife({}, async (one) => {
    await makePool(one, 3);
    await fillUp(one);
    const claimed = only(await one.ask([await one.node('a', EDGE)], null, true));
    await fillUp(one);
    const before = (await waiting(one)).map(({ id }) => id);
    const modules = [moduleRef('base', '2.0.0', 'b')];
    await change(one, 'template', 'edge', { platform: 'debian', modules });
    for (let pass = 0; pass < 12; pass += 1) {
      await fillUp(one, 1);
      const ready = (await waiting(one)).filter(({ state }) => state === 'running');
      assert.ok(ready.length >= 2, `${ready.length} ready`);
    }
    const now = await waiting(one);
    assert.equal(now.length, 3);
    for (const each of now) {
      assert.ok(!before.includes(each.id) && each.state === 'running');
      assert.equal((await desiredOf(one, each)).modules[0]?.version, '2.0.0');
    }
    assert.equal((await recordOf(one, claimed)).node, 'a');
    assert.equal(one.world.machines.size, 4);
  }));

test('an instance that waits can be ended without a drain and is replaced; a smaller pool, and one that is gone, leave nothing', () =>
  withLife({}, async (one) => {
    await makePool(one, 3);
    await fillUp(one);
    const [some] = await waiting(one);
    await terminate(one.deps, 'admin:a', some?.id ?? assert.fail(), {
      force: false,
      abandon: false,
    });
    await fillUp(one);
    assert.equal((await waiting(one)).length, 3);
    assert.ok((await waiting(one)).every(({ id }) => id !== some?.id));
    await change(one, 'pool', 'edge', poolSpec(1));
    await fillUp(one);
    assert.equal((await waiting(one)).length, 1);
    assert.equal(one.world.machines.size, 1);
    const pool = (await one.records.catalog.pool.get('edge')) ?? assert.fail();
    await one.records.catalog.pool.remove('edge');
    await fillUp(one);
    assert.deepEqual([one.world.machines.size, (await waiting(one)).length], [0, 0]);
    assert.equal((await Array.fromAsync(one.records.warm.all())).length, 0);
    assert.equal((await Array.fromAsync(one.records.operations.all())).length, 0);
    assert.ok(pool);
  }));

test('a pool that cannot be filled says why once, with a hint, and is filled as soon as it can be', () =>
  withLife({ machinesMax: 2 }, async (one) => {
    await makePool(one, 3);
    await fillUp(one);
    assert.equal((await waiting(one)).length, 2, 'as many as there is room for');
    const told = await eventsOf(one, 'pool.not_filled');
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /PROVIDER_QUOTA.*no room for 1 .*machinesMax/);
    await change(one, 'pool', 'edge', poolSpec(3, { instanceType: null }));
    await fillUp(one);
    // Within one millisecond events have no order.
    const both = await eventsOf(one, 'pool.not_filled');
    assert.deepEqual(both.map((text) => /: ([A-Z_]+):/.exec(text)?.[1]).sort(), [
      'BODY_INVALID',
      'PROVIDER_QUOTA',
    ]);
    assert.equal((await waiting(one)).length, 2, 'what waits stays');
    await change(one, 'pool', 'edge', poolSpec(2));
    await fillUp(one);
    assert.equal((await waiting(one)).length, 2);
    assert.equal((await eventsOf(one, 'pool.not_filled')).length, 2);
  }));

test('a pool fills no more than its region takes, and says that it is the region', () =>
  withLife({}, async (one) => {
    await create(one, 'region', 'hall', { provider: 'local-qemu', machinesMax: 1 });
    await makePool(one, 0);
    await change(one, 'pool', 'edge', poolSpec(2, { region: 'hall' }));
    await fillUp(one);
    assert.equal((await waiting(one)).length, 1);
    const [told = ''] = await eventsOf(one, 'pool.not_filled');
    assert.match(told, /region hall has no room for 1 .*machinesMax/);
  }));
