// Orders of installations, over real HTTPS: what a node is told to install, that the order outlives
// changes of the plan, and who is told nothing. No machine is started.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { NodeSpec } from '../../shared/schema/records.ts';
import { BOOT_B, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import {
  changeNode,
  desiredOf,
  eventsOf,
  installClass,
  instanceOf,
  PLAN,
  reportOf,
  send,
} from './install-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await startFixture();
});
after(() => fixture.close());

test('an instance of a class with a plan is ordered to install it, under an event of its own', async () => {
  await installClass(fixture, 'disks');
  const [one, two] = [
    await fixture.node('order-1', { class: 'disks' }),
    await fixture.node('order-2', { class: 'disks' }),
  ];
  const [first, second] = [await desiredOf(one), await desiredOf(two)];
  assert.match(first.install?.event ?? '', /^ie-[0-9a-z]{16}$/);
  assert.notEqual(first.install?.event, second.install?.event);
  assert.deepEqual(first.install?.plan, { ...PLAN, wipeId: null, recoveryRecipient: null });
  assert.equal((await instanceOf(fixture, one.id)).install?.event, first.install?.event);
});

test("a node's own plan goes before its class's, and without one nothing is ordered", async () => {
  const own = { profile: 'other', disk: { wwn: 'naa.5' } };
  const node = await fixture.node('order-3', { class: 'disks', install: own });
  assert.equal((await desiredOf(node)).install?.plan.profile, 'other');
  const none = await fixture.node('order-4');
  assert.equal((await desiredOf(none)).install, null);
  assert.equal((await instanceOf(fixture, none.id)).install, null);
});

test('a class that changes in the middle is a new generation of the same event', async () => {
  await installClass(fixture, 'moving');
  const node = await fixture.node('order-5', { class: 'moving' });
  const before = await desiredOf(node);
  const event = before.install?.event ?? '';
  await send(node, reportOf(event, { step: 'partition' }));
  await installClass(fixture, 'moving', { ...PLAN, disk: { serial: 'disk-b' } });
  const after = await desiredOf(node);
  assert.equal(after.generation, before.generation + 1);
  assert.deepEqual([after.install?.event, after.install?.plan.disk], [event, { serial: 'disk-b' }]);
  // The plan goes and comes back: what was begun under the event is still that.
  await installClass(fixture, 'moving', null);
  assert.equal((await desiredOf(node)).install, null);
  await installClass(fixture, 'moving');
  assert.equal((await desiredOf(node)).install?.event, event);
  assert.equal((await instanceOf(fixture, node.id)).state, 'installing');
});

test('an instance that enrolled without a plan is not installed by one that comes later', async () => {
  const early = await fixture.instance('order-10');
  await changeNode(fixture, 'order-10', NodeSpec.parse({ install: PLAN }));
  assert.ok((await instanceOf(fixture, early)).install, 'its machine never came: it may install');
  const node = await fixture.node('order-6');
  await changeNode(fixture, 'order-6', NodeSpec.parse({ install: PLAN }));
  assert.equal((await desiredOf(node)).install, null);
});

test('from the first step to the end: installing, then bootstrapping; each is told once', async () => {
  const node = await fixture.node('order-7', { class: 'disks' });
  const event = (await desiredOf(node)).install?.event ?? '';
  for (const progress of [0, 0.1, 0.2]) await send(node, reportOf(event, { progress }));
  const shown = await instanceOf(fixture, node.id);
  assert.deepEqual([shown.state, shown.install?.report?.progress], ['installing', 0.2]);
  await send(node, reportOf(event, { bootId: BOOT_B, step: 'slot', progress: 0.5 }));
  for (let time = 0; time < 2; time += 1)
    await send(
      node,
      reportOf(event, { bootId: BOOT_B, state: 'installed', step: null, progress: 1 }),
    );
  // Overtaken by the end: it means nothing any more.
  await send(node, reportOf(event, { bootId: BOOT_B, step: 'finish', progress: 0.9 }));
  const done = await instanceOf(fixture, node.id);
  assert.deepEqual([done.state, done.install?.report?.state], ['bootstrapping', 'installed']);
  assert.ok(done.install?.doneAt);
  const told = (await eventsOf(fixture, node.id)).filter((kind) => kind.includes('install'));
  assert.deepEqual(told, [
    'instance.install_started',
    'instance.install_resumed',
    'instance.installed',
  ]);
});

test('a report under an event that was not ordered is refused, and changes nothing', async () => {
  const node = await fixture.node('order-8', { class: 'disks' });
  const wrong = send(node, reportOf('ie-0000000000000000'));
  await assert.rejects(wrong, { code: 'CONFLICT', hint: /desired state again/ });
  const { state, install } = await instanceOf(fixture, node.id);
  assert.deepEqual([state, install?.report], ['bootstrapping', null]);
  const free = await fixture.node('order-9');
  await assert.rejects(send(free, reportOf('ie-0000000000000000')), { code: 'CONFLICT' });
});
