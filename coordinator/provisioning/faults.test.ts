// Providers that fail, hang, lie and lose machines, and a clock that jumps. Each time: the code, a
// hint, nothing lost, nothing half done.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meetDeadline, terminate } from '../nodes/instance-end.ts';
import { destroyLeftover, findLeftovers } from './leftovers.ts';
import { only, settle } from './testing.ts';
import { coded, eventsOf, moved, recordOf, withLife } from './testing-life.ts';

const MINUTE_MS = 60_000;
const FORCE = { force: true, abandon: false };
const signal = new AbortController().signal;

test('a provider that says that it made a machine, and shows none, is found out, and retried less and less', () =>
  withLife({ lies: 'made' }, async (one) => {
    const id = only(await one.ask([await one.node('a')]));
    for (let pass = 0; pass < 5; pass += 1) await one.pass();
    const { state, machine } = await recordOf(one, id);
    assert.equal(state, 'provisioning');
    assert.equal(machine?.fault?.code, 'PROVIDER_FAILED');
    assert.match(machine.fault.message, /says of o-\w+ that it runs; it is absent/);
    assert.deepEqual([machine.attempts, one.world.calls.length], [1, 1]);
    one.clock.forward(3_000);
    await one.pass();
    assert.equal((await recordOf(one, id)).machine?.attempts, 2);
    assert.equal((await eventsOf(one, 'instance.provider_failed')).length, 1, 'told once');
    one.clock.forward(10 * MINUTE_MS);
    await meetDeadline(one.deps, id);
    const failed = await recordOf(one, id);
    assert.equal(failed.state, 'failed');
    assert.match(failed.reason, /PROVIDER_FAILED/, 'with the likely cause');
    await one.pass();
    assert.equal((await recordOf(one, id)).state, 'failed', 'a person decides');
    await terminate(one.deps, 'admin:a', id, FORCE);
    await one.pass();
    assert.equal((await recordOf(one, id)).state, 'terminated');
  }));

test('a provider that says that it destroyed a machine, and still shows it, ends nothing; a person can leave it, and it is listed', () =>
  withLife({ lies: 'destroyed' }, async (one) => {
    const id = only(await one.ask([await one.node('a')]));
    await one.pass();
    await terminate(one.deps, 'admin:a', id, FORCE);
    await one.pass();
    const { state, machine } = await recordOf(one, id);
    assert.deepEqual([state, machine?.fault?.code], ['terminating', 'PROVIDER_FAILED']);
    one.clock.forward(6 * MINUTE_MS);
    await meetDeadline(one.deps, id);
    assert.equal((await eventsOf(one, 'instance.overdue')).length, 1);
    await terminate(one.deps, 'admin:a', id, { force: false, abandon: true });
    await one.pass();
    assert.equal((await recordOf(one, id)).state, 'terminated');
    const [left, ...more] = await findLeftovers(one.deps, signal);
    assert.deepEqual([left?.kind, left?.instance, more.length], ['machine', id, 0]);
    const wanted = { provider: 'local-qemu', operation: left?.operation ?? assert.fail() } as const;
    await assert.rejects(destroyLeftover(one.deps, 'a', wanted, signal), coded('PROVIDER_FAILED'));
    // The provider does, later, what it said.
    one.world.machines.clear();
    await destroyLeftover(one.deps, 'admin:a', wanted, signal);
    assert.deepEqual(await findLeftovers(one.deps, signal), []);
    assert.equal((await Array.fromAsync(one.records.operations.all())).length, 0);
  }));

test('a provider that hangs is an error in time, holds up no other machine, and is asked again', async () => {
  let hangs = true;
  const at = async (moment: string) => {
    if (hangs && moment === 'make a') await new Promise(() => undefined);
  };
  await withLife({ at }, async (one) => {
    const [a, b] = [
      only(await one.ask([await one.node('a')])),
      only(await one.ask([await one.node('b')])),
    ];
    const passing = one.pass();
    await settle();
    assert.equal((await recordOf(one, b)).machine?.state, 'running');
    assert.equal((await recordOf(one, a)).machine?.fault, null);
    one.clock.forward(2 * MINUTE_MS);
    await passing;
    const { machine } = await recordOf(one, a);
    assert.equal(machine?.fault?.code, 'PROVIDER_TIMEOUT');
    assert.match(machine.fault.hint, /billet provider list/);
    hangs = false;
    one.clock.forward(MINUTE_MS);
    await one.pass();
    assert.deepEqual((await recordOf(one, a)).machine?.fault, null);
    assert.equal(one.world.machines.size, 2);
  });
});

test('a machine that comes too late, after its end, is not made; one that is nobody’s is listed and can be destroyed', async () => {
  const gate = Promise.withResolvers<void>();
  const at = async (moment: string) => (moment === 'make a' ? gate.promise : undefined);
  await withLife({ at }, async (one) => {
    const id = only(await one.ask([await one.node('a')]));
    const passing = one.pass();
    await settle();
    one.clock.forward(2 * MINUTE_MS);
    await passing;
    await terminate(one.deps, 'admin:a', id, FORCE);
    await one.pass();
    assert.equal((await recordOf(one, id)).state, 'terminated');
    gate.resolve();
    await settle();
    assert.equal(one.world.machines.size, 0, 'the late creation made nothing');
  });
  await withLife({}, async (one) => {
    const id = only(await one.ask([await one.node('a')]));
    await one.pass();
    const operation = (await recordOf(one, id)).machine?.operation ?? assert.fail();
    const wanted = { provider: 'local-qemu', operation } as const;
    await assert.rejects(destroyLeftover(one.deps, 'a', wanted, signal), coded('CONFLICT'));
    await one.records.operations.remove(operation);
    assert.equal((await findLeftovers(one.deps, signal))[0]?.instance, null);
    await destroyLeftover(one.deps, 'admin:a', wanted, signal);
    assert.equal(one.world.machines.size, 0);
  });
});

test('a machine that is lost: an ephemeral instance is replaced once that is proven, a persistent one waits for a person', () =>
  withLife({}, async (one) => {
    const nodes = {
      ephemeral: await one.node('e', { lifecycleClass: 'ephemeral' }),
      persistent: await one.node('p'),
    };
    const ids = {
      ephemeral: only(await one.ask([nodes.ephemeral])),
      persistent: only(await one.ask([nodes.persistent])),
    };
    await one.pass();
    for (const id of Object.values(ids)) await moved(one, id, { state: 'running', goods: [1] });
    one.world.machines.clear();
    one.clock.forward(2 * MINUTE_MS);
    assert.equal((await findLeftovers(one.deps, signal)).length, 2, 'live instances, no machines');
    await one.pass();
    for (const id of Object.values(ids)) assert.equal((await recordOf(one, id)).state, 'failed');
    one.clock.forward(24 * 60 * MINUTE_MS);
    for (const id of Object.values(ids)) await meetDeadline(one.deps, id);
    await one.pass();
    await one.pass();
    assert.equal((await recordOf(one, ids.persistent)).state, 'failed');
    assert.equal((await recordOf(one, ids.ephemeral)).state, 'terminated');
    const next = (await one.records.nodes.get(nodes.ephemeral))?.record.instance;
    assert.ok(next && next !== ids.ephemeral, 'another instance of the node');
    const fresh = await recordOf(one, next);
    assert.deepEqual([fresh.machine?.state, fresh.lifecycleClass], ['running', 'ephemeral']);
    assert.equal(one.world.machines.size, 1);
  }));

test('a machine that is off is switched on again, with a fresh token', () =>
  withLife({}, async (one) => {
    const id = only(await one.ask([await one.node('a')]));
    await one.pass();
    const operation = (await recordOf(one, id)).machine?.operation ?? assert.fail();
    const machine = one.world.machines.get(operation) ?? assert.fail('no machine');
    await moved(one, id, { state: 'running', boot: { ordered: false, token: null } });
    machine.state = 'off';
    one.clock.forward(2 * MINUTE_MS);
    await one.pass();
    const again = one.world.machines.get(operation);
    assert.equal(again?.state, 'running');
    assert.notDeepEqual(again.order.start, machine.order.start);
    assert.equal((await recordOf(one, id)).boot.ordered, true);
  }));

test('a clock that jumps back delays nothing for ever, and one that jumps on destroys nothing persistent', () =>
  withLife({ lies: 'made' }, async (one) => {
    const id = only(await one.ask([await one.node('a')]));
    await one.pass();
    one.clock.jump(-24 * 60 * MINUTE_MS);
    await one.pass();
    assert.equal((await recordOf(one, id)).machine?.attempts, 2, 'no pause of a day');
    one.clock.jump(24 * 60 * MINUTE_MS);
    one.clock.forward(5_000);
    await one.pass();
    assert.equal((await recordOf(one, id)).machine?.attempts, 3);
    one.clock.jump(365 * 24 * 60 * MINUTE_MS);
    await meetDeadline(one.deps, id);
    assert.equal((await recordOf(one, id)).state, 'failed');
  }));
