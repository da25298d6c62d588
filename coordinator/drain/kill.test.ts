// The coordinator dies before and after each commit of draining and ending an instance; the next one
// goes on over what is stored. At the end nothing is left on either side, and the drain was done once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { DrainOrder } from '#shared/schema/drain.ts';
import { type InstanceId, Serial } from '#shared/schema/ids.ts';
import type { TaskOutcome } from '#shared/schema/task.ts';
import { terminate } from '../nodes/instance-end.ts';
import { findLeftovers } from '../provisioning/leftovers.ts';
import {
  handClock,
  type Life,
  life,
  newWorld,
  only,
  worldProvider,
} from '../provisioning/testing.ts';
import { moved, recordOf } from '../provisioning/testing-life.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { IN_MEMORY } from '../store/sqlite-file.ts';
import type { Store, Write } from '../store/store.ts';
import { leaseTasks, reportTask } from '../tasks/lease-writes.ts';
import { drain, uncordon } from './drain-writes.ts';

class Death extends Error {}

const BOOT = '11111111-1111-4111-8111-111111111111';
const ORDER = DrainOrder.parse({});
const DRAINED: TaskOutcome = {
  outcome: 'succeeded',
  drain: { empty: true, done: [], stayed: [], more: 0 },
};
const never = new AbortController().signal;

/** Whose process dies at the nth moment; `forgets` is a mutation. */
function mortal(real: Store, at: { moment: number }, forgets: (write: Write) => boolean): Store {
  const moment = () => {
    at.moment -= 1;
    if (at.moment === 0) throw new Death();
  };
  return {
    ...real,
    async commit(conditions, writes) {
      moment();
      const kept = writes.filter((write) => !forgets(write));
      const done = await real.commit(conditions, kept.length > 0 ? kept : writes);
      moment();
      return done;
    },
  };
}

/** A whole end, with its node playing along; how many moments it had. */
async function scenario(dieAt: number, forgets: (write: Write) => boolean = () => false) {
  const real = sqliteStore({ path: IN_MEMORY });
  const [clock, world] = [handClock(), newWorld()];
  const at = { moment: Number.POSITIVE_INFINITY };
  const begin = (): Life =>
    life({ store: mortal(real, at, forgets), clock, provider: worldProvider(world) });
  let current = begin();
  let lives = 1;
  const step = async <T>(work: (one: Life) => Promise<T>): Promise<T> => {
    for (;;)
      try {
        return await work(current);
      } catch (error) {
        if (!(error instanceof Death)) throw error;
        lives += 1;
        current = begin();
      }
  };
  const carryOut = async (id: InstanceId, kind: string, result: TaskOutcome) => {
    const [task] = await step(({ records }) => leaseTasks(records, id, { max: 1, bootId: BOOT }));
    assert.equal(task?.spec.kind, kind);
    const { id: taskId, epoch } = task ?? assert.fail('no task');
    await step(({ records }) => reportTask(records, id, taskId, { epoch, result }));
  };
  try {
    const id = only(await current.ask([await current.node('a')]));
    await current.pass();
    await moved(current, id, { state: 'running', bootId: BOOT });
    const { register } = current.deps;
    const serial = Serial.parse('ab');
    const times = { notBefore: clock.now(), notAfter: clock.now() + 1, ca: null };
    await real.commit([], [register.issued({ serial, instance: id, ...times }).write]);
    at.moment = dieAt;

    await step(({ records }) => drain(records, 'operator:a', id, ORDER));
    await step(({ records }) => uncordon(records, 'operator:b', id));
    await carryOut(id, 'uncordon', { outcome: 'succeeded' });
    await step(({ records }) => drain(records, 'operator:a', id, ORDER));
    await carryOut(id, 'drain', DRAINED);
    const order = { force: false, abandon: false };
    await step(({ deps }) => terminate(deps, 'operator:a', id, order));
    assert.ok(await register.revocations.get(serial), 'its certificate still stands');
    for (let pass = 0; pass < 4; pass += 1) {
      await step((one) => one.pass().then(() => undefined));
      clock.forward(60_000);
    }
    const moments = dieAt - at.moment;
    at.moment = Number.POSITIVE_INFINITY;
    const { records } = current;
    assert.equal((await recordOf(current, id)).state, 'terminated');
    assert.deepEqual([...world.machines.keys()], []);
    assert.deepEqual(await findLeftovers(current.deps, never), []);
    for (const left of [records.drains, records.operations])
      assert.deepEqual(await Array.fromAsync(left.all() as AsyncIterable<unknown>), []);
    assert.deepEqual((await records.queues.get(id))?.record.open, []);
    assert.equal(
      (await records.nodes.get((await recordOf(current, id)).node))?.record.instance,
      null,
    );
    const tasks = await Array.fromAsync(records.tasks.all());
    const kinds = tasks.map(({ record }) => `${record.spec.kind} ${record.state}`).sort();
    assert.deepEqual(kinds, ['drain cancelled', 'drain succeeded', 'uncordon succeeded']);
    return { moments, lives };
  } finally {
    await real.close();
  }
}

const BEYOND = 10_000;

test('a coordinator that dies at any commit of a drain and an end does each once', async (t) => {
  const { moments } = await scenario(BEYOND);
  assert.ok(moments >= 16, `${moments} moments`);
  for (let dieAt = 1; dieAt <= moments; dieAt += 1) {
    const { lives } = await scenario(dieAt);
    assert.ok(lives <= 2, `moment ${dieAt}`);
  }
  t.diagnostic(`${moments} deaths`);
});

for (const [what, forgets] of [
  ['the drain', ({ key }) => key.startsWith('drains/')],
  ['the revocation', ({ key }) => key.startsWith('revocations/')],
  ['the queue', ({ key }) => key.startsWith('queues/')],
] as const satisfies readonly (readonly [string, (write: Write) => boolean])[])
  test(`without the record of ${what}, the scenario fails`, async () => {
    await assert.rejects(scenario(BEYOND, forgets), (error) => {
      assert.ok(
        error instanceof assert.AssertionError || error instanceof BilletError,
        String(error),
      );
      return true;
    });
  });
