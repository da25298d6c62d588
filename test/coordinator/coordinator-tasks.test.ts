// Tasks over real HTTPS: leases, late holders, cancelling, and reboots that are believed when seen.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { RouteClient } from '../../shared/client/route-client.ts';
import { routes } from '../../shared/routes/table.ts';
import { type InstanceId, TaskId } from '../../shared/schema/ids.ts';
import type { TaskSpec } from '../../shared/schema/task.ts';
import {
  BOOT_A,
  BOOT_B,
  bodyOf,
  type Fixture,
  heartbeatOf,
  startFixture,
  type TestNode,
} from './coordinator-fixture.ts';

let fixture: Fixture;
let admin: RouteClient;
before(async () => {
  fixture = await startFixture();
  admin = fixture.admin;
});
after(() => fixture.close());

const createTask = async (instance: InstanceId, spec: TaskSpec, more = {}) =>
  bodyOf(await admin.call(routes.createTask, { body: { instance, spec, ...more } }));
const leaseOne = async ({ client }: TestNode) =>
  bodyOf(await client.call(routes.leaseTasks, { body: {} })).tasks[0];
const LOGS: TaskSpec = { kind: 'collect-logs', lines: 10 };

test('a task is leased once, held, reported twice alike; a late holder is refused', async () => {
  const node = await fixture.node('task-1');
  const other = await fixture.node('task-2');
  const key = { idempotencyKey: 'k-1', attemptsMax: 2 };
  const task = await createTask(node.id, LOGS, key);
  assert.equal((await createTask(node.id, LOGS, key)).id, task.id);
  await assert.rejects(createTask(node.id, { ...LOGS, lines: 11 }, key), { code: 'CONFLICT' });

  assert.equal(await leaseOne(other), undefined);
  const first = await leaseOne(node);
  assert.deepEqual([first?.id, first?.epoch], [task.id, 1]);
  assert.equal(await leaseOne(node), undefined);
  const params = { id: task.id };
  const renewed = await node.client.call(routes.renewTask, { params, body: { epoch: 1 } });
  assert.deepEqual(bodyOf(renewed), { leaseSeconds: 60, cancelled: false });

  fixture.clock.advance(61_000);
  assert.equal((await leaseOne(node))?.epoch, 2);
  const report = (epoch: number, client = node.client) => {
    const body = { epoch, result: { outcome: 'succeeded' as const, output: 'lines' } };
    return client.call(routes.reportTask, { params, body });
  };
  await assert.rejects(report(1), { code: 'LEASE_LOST' });
  await assert.rejects(report(2, other.client), { code: 'NOT_FOUND' });
  assert.equal(bodyOf(await report(2)).state, 'succeeded');
  assert.equal(bodyOf(await report(2)).state, 'succeeded');
  const done = bodyOf(await admin.call(routes.getTask, { params }));
  assert.deepEqual([done.state, done.result?.output], ['succeeded', 'lines']);
  await assert.rejects(admin.call(routes.cancelTask, { params, body: {} }), { code: 'CONFLICT' });
});

test('a lease whose answer got lost is given again to the boot that holds nothing, and no other', async () => {
  const node = await fixture.node('lost-1');
  const { id } = await createTask(node.id, { kind: 'reboot', reason: '' });
  const ask = async (bootId?: string) =>
    bodyOf(await node.client.call(routes.leaseTasks, { body: { bootId } })).tasks[0];
  assert.deepEqual([(await ask(BOOT_A))?.id, (await ask(BOOT_A))?.epoch], [id, 1]);
  assert.equal(await ask(), undefined, 'who may hold it gets it not twice');
  assert.equal(await ask(BOOT_B), undefined, 'another boot would reboot twice');
  fixture.clock.advance(600_001);
  assert.equal(await ask(BOOT_A), undefined, 'the lease of a reboot is one');
});

test('a cancelled task tells its holder, and takes no report', async () => {
  const node = await fixture.node('cancel-1');
  const { id } = await createTask(node.id, LOGS);
  await leaseOne(node);
  await admin.call(routes.cancelTask, { params: { id }, body: {} });
  const held = await node.client.call(routes.renewTask, { params: { id }, body: { epoch: 1 } });
  assert.equal(bodyOf(held).cancelled, true);
  const body = { epoch: 1, result: { outcome: 'succeeded' as const } };
  const late = node.client.call(routes.reportTask, { params: { id }, body });
  await assert.rejects(late, { code: 'LEASE_LOST' });
});

test('a reboot is done when a new boot id is seen, whatever is reported before', async () => {
  const node = await fixture.node('reboot-1');
  const beat = (bootId: string) =>
    node.client.call(routes.heartbeat, { body: heartbeatOf({ bootId }) });
  const { id } = await createTask(node.id, { kind: 'reboot', reason: 'new kernel' });
  assert.equal(await leaseOne(node), undefined, 'nothing to compare the next boot id with');
  await beat(BOOT_A);
  assert.equal((await leaseOne(node))?.id, id);
  const shown = () => admin.call(routes.getInstance, { params: { id: node.id } });
  assert.equal(bodyOf(await shown()).bootOrdered, true);
  const body = { epoch: 1, result: { outcome: 'succeeded' as const } };
  const reported = await node.client.call(routes.reportTask, { params: { id }, body });
  assert.equal(bodyOf(reported).state, 'leased');
  await beat(BOOT_A);
  const state = async () => bodyOf(await admin.call(routes.getTask, { params: { id } })).state;
  assert.equal(await state(), 'leased');
  await beat(BOOT_B);
  assert.equal(await state(), 'succeeded');
  assert.equal(bodyOf(await shown()).bootOrdered, false);
});

test('a reboot without a new boot id fails at its deadline, and is not leased again', async () => {
  const node = await fixture.node('reboot-2');
  await node.client.call(routes.heartbeat, { body: heartbeatOf() });
  const { id } = await createTask(node.id, { kind: 'reboot', reason: '' });
  assert.equal((await leaseOne(node))?.leaseSeconds, 600);
  fixture.clock.advance(600_001);
  assert.equal(await leaseOne(node), undefined);
  const task = bodyOf(await admin.call(routes.getTask, { params: { id } }));
  assert.deepEqual([task.state, task.result?.code], ['failed', 'TIMEOUT']);
});

test('an unknown task is NOT_FOUND on both sides', async () => {
  const params = { id: TaskId.parse('t-0000000000000000') };
  await assert.rejects(admin.call(routes.getTask, { params }), { code: 'NOT_FOUND' });
  const node = await fixture.node('nothing-1');
  const call = node.client.call(routes.renewTask, { params, body: { epoch: 1 } });
  await assert.rejects(call, { code: 'NOT_FOUND' });
});
