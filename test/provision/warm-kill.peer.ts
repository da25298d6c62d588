// The coordinator dies at each commit and around each call to a provider, while a pool is filled, a node
// claims from it, and the pool is emptied. No instance is lost or claimed twice, no machine is left.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { terminate } from '../../coordinator/nodes/instance-end.ts';
import { findLeftovers } from '../../coordinator/provisioning/leftovers.ts';
import { only } from '../../coordinator/provisioning/testing.ts';
import { isNoticed, type Lives, withDeath } from '../../coordinator/provisioning/testing-death.ts';
import {
  change,
  getReady,
  makePool,
  poolSpec,
  waiting,
} from '../../coordinator/provisioning/warm/testing.ts';
import type { Write } from '../../coordinator/store/store.ts';

const WARM = 1;

async function story({ world, clock, seen, current, step, until }: Lives): Promise<void> {
  await step((one) => makePool(one, WARM));
  const filled = () =>
    until('filled', async (one) => {
      const members = await waiting(one);
      for (const { id, machine, state } of members) {
        seen.set(id, clock.now());
        if (machine?.state === 'running' && state !== 'running') await getReady(one.records, id);
      }
      return members.filter(({ state }) => state === 'running').length === WARM;
    });
  await filled();
  const node = await step((one) => one.node('web-1', { bootImage: null, pool: 'edge' }));
  const id = only(await step((one) => one.ask([node], 'call-1', true)));
  await step((one) => getReady(one.records, id));
  const claimed = (await current().records.instances.get(id))?.record;
  assert.deepEqual([claimed?.node, claimed?.state, claimed?.pool], [node, 'running', null]);
  assert.equal((await current().records.nodes.get(node))?.record.lives, 1, 'claimed once');
  await filled();
  assert.equal(world.machines.size, WARM + 1);
  await step((one) => change(one, 'pool', 'edge', poolSpec(0)));
  await step((one) => terminate(one.deps, 'a', id, { force: true, abandon: false }));
  await until('empty', async () => world.machines.size === 0);
  await until(
    'closed',
    async (one) => (await Array.fromAsync(one.records.operations.all())).length === 0,
  );
  assert.deepEqual(await findLeftovers(current().deps, new AbortController().signal), []);
  assert.equal((await Array.fromAsync(current().records.warm.all())).length, 0);
  const all = await Array.fromAsync(current().records.instances.all());
  assert.equal(all.length, WARM + 1);
}

test('a coordinator that dies anywhere fills a pool to its number, binds a claim once, and leaves nothing', async (t) => {
  const base = await withDeath(0, {}, story);
  for (let at = 1; at <= base.moments; at += 1) {
    const { lives, made } = await withDeath(at, {}, story);
    assert.equal(lives, 2, `moment ${at}`);
    assert.equal(made.length, base.made.length, `moment ${at}: each machine is made once`);
  }
  t.diagnostic(`${base.moments} deaths`);
});

test('without the record that an instance waits, the pool is filled without end', async () => {
  const forgets = (write: Write) => write.kind === 'put' && write.key.startsWith('warm/');
  assert.ok(await isNoticed({ forgets }, story));
});

test('without the node’s half of a claim, two have one instance', async () => {
  const forgets = (write: Write) =>
    write.kind === 'put' &&
    write.key.startsWith('nodes/') &&
    !write.value.includes('"instance":null');
  assert.ok(await isNoticed({ forgets }, story));
});
