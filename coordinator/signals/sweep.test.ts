// The sensors over real records in memory; time is the test's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { SignalTopic } from '#shared/schema/signal.ts';
import { createResource } from '../catalog/writes.ts';
import { putNodeSpec } from '../nodes/node-writes.ts';
import { leaseTasks } from '../tasks/lease-writes.ts';
import { createTask, openTasks } from '../tasks/task-writes.ts';
import { quietInstance, quietOf } from './quiet-writes.ts';
import { signalId } from './records.ts';
import { answerSignal } from './signal-writes.ts';
import { type Fleet, fleet, MINUTE_MS, webModule } from './testing.ts';

const ANN = 'operator:ann';

async function withFleet(work: (one: Fleet) => Promise<void>, config: object = {}): Promise<void> {
  const one = fleet(config);
  try {
    await work(one);
  } finally {
    await one.close();
  }
}

const signalOf = async ({ records }: Fleet, id: InstanceId, topic: SignalTopic) =>
  (await records.signals.get(signalId(id, topic)))?.record ?? null;
const stateOf = async (one: Fleet, id: InstanceId, topic: SignalTopic) =>
  (await signalOf(one, id, topic))?.state ?? null;
const kinds = async (one: Fleet) =>
  (await one.events())
    .map(([kind]) => kind)
    .filter((kind) => /signal|silent|drift|stuck/.test(kind));

test('who falls silent is told of once, after five minutes, and resolved when it is heard again', () =>
  withFleet(async (one) => {
    const [gone, well] = [await one.instance('gone-1'), await one.instance('well-1')];
    const sensors = one.coordinator('a');
    await one.pass(10, sensors);
    one.lost.add(gone);
    await one.pass(4, sensors);
    assert.equal(await stateOf(one, gone, 'silent'), null);
    await one.pass(1, sensors);
    assert.equal(await stateOf(one, gone, 'silent'), 'open');
    await one.pass(30, sensors);
    assert.equal(await stateOf(one, well, 'silent'), null);
    one.lost.clear();
    await one.pass(1, sensors);
    assert.equal(await stateOf(one, gone, 'silent'), 'resolved');
    assert.deepEqual(await kinds(one), ['instance.silent', 'signal.resolved']);
    const told = (await one.events()).find(([kind]) => kind === 'instance.silent')?.[1] ?? '';
    assert.match(told, /^no heartbeat of gone-1 since 2026-11-21T00:10:00.000Z: .*billet-agent/);
  }));

test('a start, a hand-over and a jump of the clock each give everybody a whole period', () =>
  withFleet(async (one) => {
    const id = await one.instance('web-1');
    one.lost.add(id);
    await one.pass(60);
    const first = one.coordinator('a');
    await one.pass(5, first);
    assert.equal(await stateOf(one, id, 'silent'), null);
    // It dies, and another takes over when its lease has run out.
    const second = one.coordinator('b');
    await one.pass(7, second);
    assert.equal(await stateOf(one, id, 'silent'), null, 'a hand-over is a start');
    await one.pass(3, second);
    assert.equal(await stateOf(one, id, 'silent'), 'open');
    one.lost.clear();
    await one.pass(1, second);
    assert.equal(await stateOf(one, id, 'silent'), 'resolved');
    one.clock.jump(24 * 60 * MINUTE_MS);
    for (let look = 0; look < 4; look += 1) {
      one.clock.forward(MINUTE_MS);
      await second.sweep();
      assert.equal(await stateOf(one, id, 'silent'), 'resolved', 'nobody could report since');
    }
  }));

test('two coordinators and restarts make one signal and one event of one finding', () =>
  withFleet(async (one) => {
    const id = await one.instance('web-1');
    const [a, b] = [one.coordinator('a'), one.coordinator('b')];
    await one.pass(8, a, b);
    one.lost.add(id);
    await one.pass(20, a, b);
    await one.pass(20, one.coordinator('a'), b);
    await a.release();
    await one.pass(20, b, one.coordinator('c'));
    assert.deepEqual(await kinds(one), ['instance.silent']);
    assert.equal((await signalOf(one, id, 'silent'))?.opening, 1);
  }));

test('a quiet instance is expected to be silent for that long, and no longer', () =>
  withFleet(async (one) => {
    const id = await one.instance('web-1');
    const sensors = one.coordinator('a');
    await one.pass(8, sensors);
    await quietInstance(one.records, id, { actor: ANN, seconds: 1_200, reason: 'new memory' });
    one.lost.add(id);
    await one.pass(19, sensors);
    assert.equal(await stateOf(one, id, 'silent'), null);
    await one.pass(2, sensors);
    assert.equal(await stateOf(one, id, 'silent'), 'open');
    assert.equal(await quietOf(one.records, id), null);
    await quietInstance(one.records, id, { actor: ANN, seconds: 600, reason: '' });
    await one.pass(1, sensors);
    assert.equal(await stateOf(one, id, 'silent'), 'resolved');
    await quietInstance(one.records, id, { actor: ANN, seconds: 0, reason: '' });
    await one.pass(1, sensors);
    assert.equal((await signalOf(one, id, 'silent'))?.opening, 2);
  }));

test('a reboot by a task is quiet by itself, until its boot is seen', () =>
  withFleet(async (one) => {
    const id = await one.instance('web-1');
    const sensors = one.coordinator('a');
    await one.pass(8, sensors);
    const order = { instance: id, spec: { kind: 'reboot', reason: '' }, attemptsMax: 1 } as const;
    await createTask(one.records, ANN, order);
    await leaseTasks(one.records, id, { max: 1 });
    one.lost.add(id);
    await one.pass(9, sensors);
    assert.equal(await stateOf(one, id, 'silent'), null);
    const bootId = '22222222-2222-4222-8222-222222222222';
    await one.records.instances.update(id, (record) => record && { ...record, bootId });
    await one.pass(1, sensors);
    assert.equal(await stateOf(one, id, 'silent'), 'open', 'it came back, and went away again');
    assert.equal(await one.records.quiets.get(id), null);
  }));

const WEB = webModule();
const state = (name: 'attached' | 'failed', letter = 'a') => ({
  modules: [{ ...webModule(letter), state: name }],
});

test('drift is told with its sets, mended by orders with pauses, and resolved when it is seen to be', () =>
  withFleet(async (one) => {
    const id = await one.instance('web-1', {}, { modules: [WEB] });
    const sensors = one.coordinator('a');
    await one.said(id, state('attached'));
    await one.pass(8, sensors);
    assert.equal(await stateOf(one, id, 'drift'), null);
    await one.said(id, state('failed'));
    await one.pass(3, sensors);
    const drift = await signalOf(one, id, 'drift');
    assert.deepEqual(
      [drift?.drift?.attach, drift?.drift?.detach, drift?.drift?.update].map((set) => set?.length),
      [1, 0, 0],
    );
    const orders = async () => (await openTasks(one.records, id)).map(({ record }) => record.spec);
    assert.deepEqual(await orders(), [{ kind: 'reconcile', restart: [] }]);
    const finish = () =>
      one.records.tasks.update(drift?.remedy.task ?? '', (task) =>
        task ? { ...task, state: 'failed', finishedAt: one.clock.now() } : null,
      );
    await finish();
    await one.pass(4, sensors);
    assert.deepEqual((await orders()).at(-1), { kind: 'reconcile', restart: ['web'] });
    await one.said(id, state('attached'));
    await one.pass(1, sensors);
    const mended = await signalOf(one, id, 'drift');
    assert.equal(mended?.state, 'resolved');
    const task = await one.records.tasks.get(mended?.remedy.task ?? '');
    assert.equal(task?.record.state, 'cancelled', 'it would restart what works');
    assert.deepEqual(await kinds(one), [
      ...['module.drift_detected', 'signal.remedy', 'signal.remedy_ended', 'signal.remedy'],
      'signal.resolved',
    ]);
  }));

test('a class says what follows: nothing, or what an operator approves', () =>
  withFleet(async (one) => {
    const images = { holds: async () => true };
    const policies = { careful: 'ask', quiet: 'notify' } as const;
    for (const [name, drift] of Object.entries(policies))
      await createResource({ records: one.records, images }, ANN, {
        ...{ kind: 'class', name: name as never, set: null },
        spec: { ...EMPTY_CLASS, signals: { silent: null, drift, stuck: null } } as never,
      });
    const sensors = one.coordinator('a');
    const ids: Record<string, InstanceId> = {};
    for (const name of Object.keys(policies)) {
      ids[name] = await one.instance(name, {}, { class: name, modules: [WEB] });
      await one.said(ids[name], state('failed'));
    }
    await one.pass(10, sensors);
    const { careful, quiet } = ids as { careful: InstanceId; quiet: InstanceId };
    for (const id of [careful, quiet]) {
      assert.equal(await stateOf(one, id, 'drift'), 'open');
      assert.equal((await openTasks(one.records, id)).length, 0);
    }
    const answer = { what: 'approve', actor: ANN, opening: 1 } as const;
    await answerSignal(one.records, signalId(careful, 'drift'), answer);
    await one.pass(1, sensors);
    assert.equal((await openTasks(one.records, careful)).length, 1);
    await assert.rejects(answerSignal(one.records, signalId(careful, 'drift'), answer), {
      code: 'CONFLICT',
    });
  }));

const EMPTY_CLASS = {
  ...{ description: '', lifecycleClass: 'persistent', install: null },
  ...{ template: null, region: null, instanceType: null },
};

test('a new generation is no drift while its node pulls it, and the end of an instance resolves all', () =>
  withFleet(async (one) => {
    const id = await one.instance('web-1', {}, { modules: [WEB] });
    await one.said(id, state('attached'));
    const sensors = one.coordinator('a');
    await one.pass(8, sensors);
    const node = await one.records.nodes.get('web-1');
    assert.ok(node);
    const spec = { ...node.record.spec, modules: [webModule('b')] };
    await putNodeSpec(one.records, ANN, { name: node.record.name, spec, ifMatch: null });
    await one.pass(10, sensors);
    assert.equal(await stateOf(one, id, 'drift'), null);
    await one.pass(2, sensors);
    assert.equal((await signalOf(one, id, 'drift'))?.drift?.update.length, 1);
    await one.records.instances.update(
      id,
      (record) => record && { ...record, state: 'terminated' },
    );
    await one.pass(1, sensors);
    assert.equal((await signalOf(one, id, 'drift'))?.resolution, 'it is terminated');
  }));
