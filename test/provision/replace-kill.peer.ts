// The coordinator dies at each commit and around each call to a provider, while a silent instance and
// a preempted one are replaced. Each node ends with one instance and one machine, made once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { preempted } from '../../coordinator/nodes/preemption.ts';
import { enter } from '../../coordinator/nodes/records.ts';
import { findLeftovers } from '../../coordinator/provisioning/leftovers.ts';
import { only } from '../../coordinator/provisioning/testing.ts';
import { isNoticed, type Lives, withDeath } from '../../coordinator/provisioning/testing-death.ts';
import type { Write } from '../../coordinator/store/store.ts';

const MINUTE_MS = 60_000;

async function story({ world, clock, seen, current, step, until }: Lives): Promise<void> {
  const asked = async (name: string, lifecycleClass: string) => {
    const node = await step((one) => one.node(name, { lifecycleClass }));
    return { node, id: only(await step((one) => one.ask([node], name))) };
  };
  const silent = await asked('e', 'ephemeral');
  const taken = await asked('s', 'spot');
  await until('made', async () => world.machines.size === 2);
  const runs = (id: InstanceId) =>
    step((one) =>
      one.records.instances.update(id, (record) =>
        record?.state === 'provisioning'
          ? { ...enter(record, 'running', clock.now()), goods: [1] }
          : null,
      ),
    );
  for (const { id } of [silent, taken]) await runs(id);
  const endsAt = clock.now() + 20 * MINUTE_MS;
  await step((one) =>
    one.records.instances.update(taken.id, (record) =>
      record === null ? null : (preempted(record, endsAt, clock.now())?.next ?? null),
    ),
  );
  const instanceOf = async (name: NodeName) =>
    (await current().records.nodes.get(name))?.record.instance ?? null;
  await until('replaced', async (one) => {
    seen.set(taken.id, clock.now());
    // Its agent has stopped everything, and says so.
    await one.records.instances.update(taken.id, (record) =>
      record?.state === 'draining' && !record.drained ? { ...record, drained: true } : null,
    );
    const next = await Promise.all([silent, taken].map(({ node }) => instanceOf(node)));
    for (const id of next) if (id !== null && id !== silent.id) seen.set(id, clock.now());
    const old = await Promise.all(
      [silent, taken].map(async ({ id }) => (await one.records.instances.get(id))?.record.state),
    );
    return old.every((state) => state === 'terminated') && world.machines.size === 2;
  });
  const leftovers = await step((one) => findLeftovers(one.deps, new AbortController().signal));
  assert.deepEqual(leftovers, []);
  const all = await Array.fromAsync(current().records.instances.all());
  assert.equal(all.length, 4, 'each was replaced once');
  for (const { node, id } of [silent, taken]) {
    const next = await instanceOf(node);
    assert.ok(next !== null && next !== id);
    const machine = (await current().records.instances.get(next))?.record.machine;
    assert.ok(machine && world.machines.has(machine.operation), 'its own machine');
  }
}

test('a coordinator that dies anywhere replaces what is lost once, and never before the old machine is gone', async (t) => {
  const base = await withDeath(0, {}, story);
  assert.deepEqual(base.made, ['make e', 'make e', 'make s', 'make s']);
  for (let at = 1; at <= base.moments; at += 1) {
    const { lives, made } = await withDeath(at, {}, story);
    assert.equal(lives, 2, `moment ${at}`);
    assert.deepEqual(made, base.made, `moment ${at}: each machine is made once`);
  }
  t.diagnostic(`${base.moments} deaths`);
});

test('without the record that ends it, nobody replaces what is lost', async () => {
  const forgets = (write: Write) =>
    write.kind === 'put' &&
    write.key.startsWith('instances/') &&
    write.value.includes('"terminating"');
  assert.ok(await isNoticed({ forgets }, story));
});
