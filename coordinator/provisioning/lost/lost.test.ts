// Instances that fall silent, and machines that are taken away, over a provider in memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import { terminate } from '../../nodes/instance-end.ts';
import { createInstance } from '../../nodes/instance-writes.ts';
import { notePreemption } from '../../nodes/preemption.ts';
import { sweepDeadlines } from '../../nodes/sweep.ts';
import { only } from '../testing.ts';
import { coded, eventsOf, moved, recordOf, type Tried, withLife } from '../testing-life.ts';

const MINUTE_MS = 60_000;

/** A running instance that speaks now, of a node of that class. */
async function running(one: Tried, name: string, spec: object): Promise<InstanceId> {
  const id = only(await one.ask([await one.node(name, spec)]));
  await one.pass();
  await moved(one, id, { state: 'running', goods: [1] });
  one.seen.set(id, one.clock.now());
  return id;
}

/** Minutes in which only some speak; a pass in each. */
async function minutes(one: Tried, count: number, speaking: readonly InstanceId[]): Promise<void> {
  for (let minute = 0; minute < count; minute += 1) {
    one.clock.forward(MINUTE_MS);
    for (const id of speaking) one.seen.set(id, one.clock.now());
    await one.pass();
  }
}

const instanceOf = async (one: Tried, node: NodeName) =>
  (await one.records.nodes.get(node))?.record.instance ?? assert.fail('no instance');

const EPHEMERAL = { lifecycleClass: 'ephemeral' };

test('an ephemeral instance that is silent is off at once, destroyed, and replaced when its machine is proven gone', () =>
  withLife({}, async (one) => {
    const [id, other] = [await running(one, 'e', EPHEMERAL), await running(one, 'f', EPHEMERAL)];
    await minutes(one, 9, [other]);
    assert.equal((await recordOf(one, id)).state, 'running');
    await minutes(one, 3, [other]);
    const ended = await recordOf(one, id);
    assert.deepEqual([ended.state, ended.certificate], ['terminated', null]);
    assert.match(ended.reason, /silent for 10 minutes, and ephemeral/);
    const next = await recordOf(one, await instanceOf(one, ended.node));
    assert.notEqual(next.id, id);
    await one.pass();
    assert.deepEqual(one.world.calls, ['make e', 'make f', 'destroy', 'make e']);
    assert.equal((await recordOf(one, other)).state, 'running');
  }));

test('without proof that the old machine is gone there is no other one', () =>
  withLife({ lies: 'destroyed' }, async (one) => {
    const id = await running(one, 'e', EPHEMERAL);
    const other = await running(one, 'f', EPHEMERAL);
    await minutes(one, 30, [other]);
    const { state, machine, node } = await recordOf(one, id);
    assert.deepEqual([state, machine?.fault?.code], ['terminating', 'PROVIDER_FAILED']);
    assert.equal(await instanceOf(one, node), id);
    assert.equal(one.world.calls.filter((call) => call === 'make e').length, 1);
  }));

test('a persistent instance that is silent stays as it is, however long', () =>
  withLife({}, async (one) => {
    const id = await running(one, 'p', {});
    await minutes(one, 120, []);
    assert.equal((await recordOf(one, id)).state, 'running');
    assert.deepEqual(one.world.calls, ['make p']);
  }));

test('when many fall silent together nothing is destroyed, and that is told once', () =>
  withLife({}, async (one) => {
    const ids = [];
    for (const name of ['a', 'b', 'c', 'd']) ids.push(await running(one, name, EPHEMERAL));
    await minutes(one, 40, ids.slice(2));
    for (const id of ids) assert.equal((await recordOf(one, id)).state, 'running');
    const told = await eventsOf(one, 'instance.losses_held');
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /2 of 4 .* provider\/local-qemu .*billet instance terminate/);
  }));

test('a spot instance is drained at its notice, ended when it is empty, and replaced', () =>
  withLife({}, async (one) => {
    const id = await running(one, 's', { lifecycleClass: 'spot' });
    const endsAt = one.clock.now() + 2 * MINUTE_MS;
    await notePreemption(one.records, 'admin:a', id, endsAt);
    await notePreemption(one.records, 'admin:a', id, endsAt + MINUTE_MS);
    assert.equal((await eventsOf(one, 'instance.preempted')).length, 1, 'a later end is no news');
    await one.pass();
    assert.equal((await recordOf(one, id)).state, 'draining');
    const ordered = await one.records.drains.get(id);
    assert.deepEqual(ordered?.record.order, { cordonOnly: false, timeoutSeconds: 110 });
    await moved(one, id, { drained: true });
    await one.pass();
    const ended = await recordOf(one, id);
    assert.deepEqual([ended.state, ended.reason], ['terminated', 'preempted by its provider']);
    const next = await recordOf(one, await instanceOf(one, ended.node));
    await one.pass();
    assert.equal((await recordOf(one, next.id)).machine?.state, 'running');
    assert.equal(next.preemption, null);
    await assert.rejects(notePreemption(one.records, 'admin:a', id, endsAt - 1), coded('CONFLICT'));
  }));

test('a spot instance whose machine is a person’s is drained at its notice, and left to that person', () =>
  withLife({}, async (one) => {
    const node = await one.node('metal', { lifecycleClass: 'spot' });
    const { id } = await createInstance(one.records, 'admin:a', node);
    await moved(one, id, { state: 'running', goods: [1] });
    await notePreemption(one.records, 'admin:a', id, one.clock.now() + 2 * MINUTE_MS);
    await sweepDeadlines(one.deps);
    assert.equal((await recordOf(one, id)).state, 'draining');
    one.clock.forward(5 * MINUTE_MS);
    await sweepDeadlines(one.deps);
    await one.pass();
    assert.equal((await recordOf(one, id)).state, 'draining');
    const [told] = await eventsOf(one, 'instance.preempted');
    assert.match(told ?? '', /billet instance terminate .* billet instance create metal/);
  }));

test('a spot instance that does not get empty is ended before its provider takes it; one that was taken is not switched on', () =>
  withLife({}, async (one) => {
    const late = await running(one, 'late', { lifecycleClass: 'spot' });
    const taken = await running(one, 'taken', { lifecycleClass: 'spot' });
    const persistent = await running(one, 'p', {});
    for (const id of [late, taken, persistent])
      await notePreemption(one.records, 'admin:a', id, one.clock.now() + 2 * MINUTE_MS);
    await one.pass();
    const { operation } = (await recordOf(one, taken)).machine ?? assert.fail();
    const machine = one.world.machines.get(operation) ?? assert.fail();
    machine.state = 'off';
    one.clock.forward(MINUTE_MS);
    await one.pass();
    assert.equal((await recordOf(one, late)).state, 'draining');
    assert.equal((await recordOf(one, taken)).state, 'terminated');
    one.clock.forward(MINUTE_MS - 5_000);
    await one.pass();
    assert.equal((await recordOf(one, late)).state, 'terminated');
    assert.equal((await recordOf(one, persistent)).state, 'running');
    assert.match(
      (await eventsOf(one, 'instance.preempted')).join('\n'),
      /it is persistent: a person decides: billet instance drain/,
    );
    await one.pass();
    assert.equal(one.world.calls.filter((call) => call.startsWith('make late')).length, 2);
    await terminate(one.deps, 'a', persistent, { force: true, abandon: false });
  }));
