// Drains over the wire: ordered, carried out by a node, cancelled, taken back; and what ending an
// instance asks for. The node here is a client that leases and reports as an agent does.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { BilletError } from '../../shared/errors.ts';
import { routes } from '../../shared/routes/table.ts';
import { TaskOutcome } from '../../shared/schema/task.ts';
import { BOOT_A, BOOT_B, bodyOf, raw } from '../coordinator/coordinator-fixture.ts';
import { coded, type Drains, EMPTY, LEFT, startDrains, WEB } from './drain-fixture.ts';

let drains: Drains;
before(async () => {
  drains = await startDrains();
});
after(() => drains.fixture.close());

test('a drained instance ends without force, and its certificate ends with it', async () => {
  const node = await drains.running('drained', { modules: [WEB] });
  const { state, drain: ordered } = await drains.drain(node.id, { timeoutSeconds: 30 });
  assert.deepEqual([state, ordered?.state, ordered?.timeoutSeconds], ['draining', 'waiting', 30]);
  await drains.carryOut(node, 'drain', EMPTY);
  const seen = await drains.show(node.id);
  assert.deepEqual([seen.drained, seen.drain?.state], [true, 'drained']);
  assert.deepEqual(seen.drain?.report?.done, ['services stop: web']);
  const ended = bodyOf(await drains.terminate(node.id));
  assert.deepEqual([ended.state, ended.drain, ended.certificate], ['terminated', null, null]);
  await assert.rejects(drains.beat(node), { code: 'CERTIFICATE_REVOKED' });
  const { items } = bodyOf(
    await drains.fixture.admin.call(routes.listInstances, { query: { node: seen.node } }),
  );
  assert.deepEqual(
    items.map(({ id }) => id),
    [node.id],
  );
});

test('what was not drained is kept, and what force would lose is said by name', async () => {
  const node = await drains.running('kept', { modules: [WEB], containers: ['db'] });
  const reboot = { instance: node.id, spec: { kind: 'reboot' as const } };
  const { id: task } = bodyOf(await drains.fixture.admin.call(routes.createTask, { body: reboot }));
  await assert.rejects(drains.terminate(node.id), (error: BilletError) => {
    coded('DRAIN_REQUIRED', /drain .*--wait; or lose that: .*--force/)(error);
    assert.deepEqual(error.details.loses, [
      'the service web, without its stop',
      'the container db',
      'the data of web in /var/lib/web',
      `the task ${task} (reboot)`,
    ]);
    return true;
  });
  assert.equal((await drains.show(node.id)).state, 'running');
  await drains.beat(node, { modules: [WEB] });
  assert.equal(bodyOf(await drains.terminate(node.id, true)).state, 'terminated');
  assert.equal(
    bodyOf(await drains.fixture.admin.call(routes.getTask, { params: { id: task } })).state,
    'cancelled',
  );
});

test('what would not move is shown, and keeps the instance', async () => {
  const node = await drains.running('stuck');
  await drains.drain(node.id);
  await drains.carryOut(node, 'drain', LEFT);
  const { drained, drain: found, state } = await drains.show(node.id);
  assert.deepEqual([drained, found?.state, state], [false, 'incomplete', 'draining']);
  assert.deepEqual(found?.report?.stayed[0]?.name, 'default/db');
  const lost = coded(
    'DRAIN_REQUIRED',
    /instance show/,
    /the pod default\/db \(its disruption budget\)/,
  );
  await assert.rejects(drains.terminate(node.id), lost);
  // Another try finds it gone.
  assert.equal((await drains.drain(node.id)).drain?.state, 'waiting');
  await drains.carryOut(node, 'drain', EMPTY);
  assert.equal((await drains.show(node.id)).drained, true);
});

test('a node that says it is done but not empty was not drained', async () => {
  const node = await drains.running('liar');
  await drains.drain(node.id);
  await drains.carryOut(node, 'drain', TaskOutcome.parse({ outcome: 'succeeded' }));
  assert.equal((await drains.show(node.id)).drained, false);
  await assert.rejects(drains.terminate(node.id), { code: 'DRAIN_REQUIRED' });
});

test('a cordon leaves the instance running, and a drain may follow', async () => {
  const node = await drains.running('cordoned');
  assert.equal((await drains.drain(node.id, { cordonOnly: true })).state, 'running');
  await drains.carryOut(node, 'drain', TaskOutcome.parse({ outcome: 'succeeded' }));
  const { drain: found, drained } = await drains.show(node.id);
  assert.deepEqual([found?.state, drained], ['cordoned', false]);
  assert.equal((await drains.drain(node.id)).state, 'draining');
  await drains.carryOut(node, 'drain', EMPTY);
  assert.equal((await drains.show(node.id)).drained, true);
  // The same order again changes nothing.
  assert.equal((await drains.drain(node.id)).drain?.state, 'drained');
});

test('two operators at once make one drain; another order waits for the first', async () => {
  const node = await drains.running('two');
  const same = await Promise.all([
    drains.drain(node.id),
    drains.drain(node.id),
    drains.drain(node.id),
  ]);
  assert.equal(new Set(same.map(({ drain: found }) => found?.task)).size, 1);
  await assert.rejects(
    drains.drain(node.id, { timeoutSeconds: 5 }),
    coded('CONFLICT', /--cancel, then drain it again/, /drained otherwise already/),
  );
  const ends = await Promise.allSettled([
    drains.terminate(node.id, true),
    drains.uncordon(node.id),
    drains.drain(node.id),
    drains.cancel(node.id),
  ]);
  for (const end of ends) if (end.status === 'rejected') coded('CONFLICT', /./)(end.reason);
  assert.equal((await drains.show(node.id)).state, 'terminated');
  const query = { instance: node.id };
  const { items } = bodyOf(await drains.fixture.admin.call(routes.listTasks, { query }));
  assert.ok(
    items.every(({ state }) => state === 'cancelled'),
    JSON.stringify(items),
  );
});

test('a drain is cancelled on its way, and what has ended is not cancelled', async () => {
  const node = await drains.running('cancelled');
  await assert.rejects(
    drains.cancel(node.id),
    coded('CONFLICT', /instance show/, /not being drained/),
  );
  await drains.drain(node.id);
  assert.equal(bodyOf(await drains.cancel(node.id)).drain?.state, 'cancelled');
  assert.equal(bodyOf(await drains.cancel(node.id)).drain?.state, 'cancelled');
  assert.equal((await drains.show(node.id)).state, 'draining');
  await drains.drain(node.id);
  await drains.carryOut(node, 'drain', EMPTY);
  await assert.rejects(
    drains.cancel(node.id),
    coded('CONFLICT', /uncordon/, /has succeeded already/),
  );
});

test('an instance runs again once its node has taken the drain back', async () => {
  const node = await drains.running('back');
  assert.equal(bodyOf(await drains.uncordon(node.id)).state, 'running');
  await drains.drain(node.id);
  const asked = bodyOf(await drains.uncordon(node.id));
  assert.deepEqual([asked.state, asked.drain?.state], ['draining', 'uncordoning']);
  assert.equal(bodyOf(await drains.uncordon(node.id)).drain?.task, asked.drain?.task);
  await assert.rejects(drains.drain(node.id), coded('CONFLICT', /task show/, /being uncordoned/));
  const failed = { outcome: 'failed', code: 'UNIT_FAILED', message: 'docker did not start' };
  await drains.carryOut(node, 'uncordon', TaskOutcome.parse(failed));
  const held = await drains.show(node.id);
  assert.deepEqual(
    [held.state, held.drain?.state, held.drain?.message],
    ['draining', 'incomplete', failed.message],
  );
  await drains.uncordon(node.id);
  await drains.carryOut(node, 'uncordon', TaskOutcome.parse({ outcome: 'succeeded' }));
  const { state, drain: none } = await drains.show(node.id);
  assert.deepEqual([state, none], ['running', null]);
});

test('a boot makes nothing proven any more: the drain goes on by itself', async () => {
  const node = await drains.running('rebooted');
  await drains.drain(node.id);
  await drains.carryOut(node, 'drain', EMPTY);
  const first = (await drains.show(node.id)).drain?.task;
  await drains.beat(node, { bootId: BOOT_B, phase: 'bootstrapping' });
  const seen = await drains.show(node.id);
  assert.deepEqual([seen.drained, seen.drain?.state, seen.state], [false, 'waiting', 'draining']);
  assert.notEqual(seen.drain?.task, first);
  await assert.rejects(drains.terminate(node.id), { code: 'DRAIN_REQUIRED' });
  await drains.carryOut(node, 'drain', EMPTY);
  assert.equal((await drains.show(node.id)).drained, true);
});

test('a service that runs on what was drained takes the proof back', async () => {
  const node = await drains.running('busy');
  await drains.drain(node.id);
  await drains.carryOut(node, 'drain', EMPTY);
  await drains.beat(node, { bootId: BOOT_A, modules: [WEB] });
  assert.equal((await drains.show(node.id)).drained, false);
});

test('only what runs is drained, and drains are no plain tasks', async () => {
  const id = await drains.fixture.instance('pending');
  await assert.rejects(
    drains.drain(id),
    coded('CONFLICT', /instance show/, /is pending: only what runs/),
  );
  await assert.rejects(drains.uncordon(id), coded('CONFLICT', /instance show/));
  await drains.terminate(id);
  await assert.rejects(drains.drain(id), coded('CONFLICT', /node history pending/));
  const body = JSON.stringify({ instance: id, spec: { kind: 'drain' } });
  const headers = {
    authorization: `Bearer ${drains.fixture.credential}`,
    'content-type': 'application/json',
  };
  const refused = await raw(drains.fixture, '/v1/tasks', { method: 'POST', headers, body });
  assert.deepEqual([refused.status, refused.json?.code], [400, 'BODY_INVALID']);
});

test('a machine that comes back after its end is refused, and shown', async () => {
  const node = await drains.running('revenant');
  await drains.terminate(node.id, true);
  await assert.rejects(drains.beat(node), { code: 'CERTIFICATE_REVOKED' });
  let seen = await drains.show(node.id);
  for (let tries = 0; seen.cameBack === null && tries < 100; tries += 1) {
    await setTimeout(20);
    seen = await drains.show(node.id);
  }
  assert.match(seen.cameBack?.how ?? '', /revoked/);
  assert.equal(seen.state, 'terminated');
});
