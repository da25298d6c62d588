// The sensors' coordinator dies before and after each commit of a whole story: a node drifts, is ordered
// to mend it twice, another falls silent, both come back. The next one goes on over what is stored, and
// the story ends as if nobody had died. With the order and its signal in two commits it does not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sensors } from '../../coordinator/signals/sweep.ts';
import { type Fleet, fleet, webModule } from '../../coordinator/signals/testing.ts';
import type { Store, Write } from '../../coordinator/store/store.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';

class Death extends Error {}

/** A mutation: that write of a commit is not written. */
type Forgets = (write: Write, all: readonly Write[]) => boolean;

/** Throws at the `at`-th moment, which are those before and after each commit that is no mere beat. */
function mortal(real: Store, at: number, forgets: Forgets) {
  let moments = 0;
  const moment = () => {
    moments += 1;
    if (moments === at) throw new Death();
  };
  const store: Store = {
    ...real,
    async commit(conditions, writes) {
      const isBeat = writes.every(({ key }) => key.startsWith('leader-'));
      if (!isBeat) moment();
      const kept = writes.filter((write) => !forgets(write, writes));
      const done = await real.commit(conditions, kept);
      if (!isBeat) moment();
      return done;
    },
  };
  return { store, moments: () => moments };
}

const said = (state: 'attached' | 'failed') => ({ modules: [{ ...webModule(), state }] });

/** What is left of the story: events by kind, orders, and states. */
async function story(at: number, forgets: Forgets = () => false) {
  const one = fleet();
  const death = mortal(one.store, at, forgets);
  let sensors: Sensors = one.coordinator('a', death.store);
  let deaths = 0;
  const pass = async () => {
    try {
      await one.pass(1, sensors);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      deaths += 1;
      sensors = one.coordinator('a');
    }
  };
  const until = async (what: string, isSo: () => Promise<boolean>) => {
    for (let minute = 0; minute < 30; minute += 1) {
      if (await isSo()) return;
      await pass();
    }
    assert.fail(`never ${what}`);
  };
  try {
    const web = await one.instance('web-1', {}, { modules: [webModule()] });
    const gone = await one.instance('gone-1');
    await one.said(web, said('failed'));
    one.lost.add(gone);
    await until('ordered', async () => (await orders(one)).length > 0);
    await until('silent', async () => (await stateOf(one, gone, 'silent')) === 'open');
    for (const { id, record } of await Array.fromAsync(one.records.tasks.all()))
      await one.records.tasks.update(id, () => ({
        ...{ ...record, state: 'failed', finishedAt: one.clock.now() },
      }));
    await until('ordered again', async () => (await orders(one)).includes('reconcile web'));
    await one.said(web, said('attached'));
    one.lost.clear();
    for (const [id, topic] of [[web, 'drift'] as const, [gone, 'silent'] as const])
      await until('resolved', async () => (await stateOf(one, id, topic)) === 'resolved');
    await pass();
    const counts: Record<string, number> = {};
    for (const [kind] of await one.events())
      if (/signal|silent|drift/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
    const states = (await Array.fromAsync(one.records.tasks.all())).map(
      ({ record }) => record.state,
    );
    return {
      deaths,
      moments: death.moments(),
      left: { counts, orders: await orders(one), states: states.sort() },
    };
  } finally {
    await one.close();
  }
}

async function orders({ records }: Fleet): Promise<readonly string[]> {
  const all = await Array.fromAsync(records.tasks.all());
  return all
    .map(({ record: { spec } }) =>
      spec.kind === 'reconcile' ? ['reconcile', ...spec.restart].join(' ') : spec.kind,
    )
    .sort();
}

const stateOf = async ({ records }: Fleet, id: InstanceId, topic: string) =>
  (await records.signals.get(`${id}.${topic}`))?.record.state;

test('a coordinator that dies around any commit tells and orders everything once', async (t) => {
  const { left, moments } = await story(0);
  assert.deepEqual(left.orders, ['reconcile', 'reconcile web']);
  assert.deepEqual(left.states, ['cancelled', 'failed']);
  assert.deepEqual(left.counts, {
    ...{ 'instance.silent': 1, 'module.drift_detected': 1, 'signal.remedy': 2 },
    ...{ 'signal.remedy_ended': 1, 'signal.resolved': 2 },
  });
  for (let at = 1; at <= moments; at += 1) {
    const again = await story(at);
    assert.equal(again.deaths, 1, `moment ${at}`);
    assert.deepEqual(again.left, left, `moment ${at}`);
  }
  t.diagnostic(`${moments} deaths`);
});

test('where the signal did not say that it ordered, a death orders it twice', async () => {
  // The commit of an order: the signal is left as it was.
  const forgets = (write: Write, all: readonly Write[]) =>
    write.key.startsWith('signals/') && all.some(({ key }) => key.startsWith('tasks/'));
  await assert.rejects(story(0, forgets), assert.AssertionError);
});
