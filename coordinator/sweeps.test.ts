// A clock that jumps lets nothing go that cannot be had back: deadlines wait until holders could
// report, deletions for a day. Real records, in memory; time is the test's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_LIFETIME_MS } from '#shared/certificate.ts';
import type { Clock } from '#shared/clock.ts';
import { sha256 } from '#shared/digest.ts';
import { InstanceId, NodeName, Serial } from '#shared/schema/ids.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { certificateRegister } from './ca/register.ts';
import { clockWatch } from './clock-watch.ts';
import { silentLog } from './log.ts';
import { createInstance } from './nodes/instance-writes.ts';
import { createNode } from './nodes/node-writes.ts';
import { enter } from './nodes/records.ts';
import { sweepRecords } from './nodes/sweep.ts';
import { records as openRecords } from './records.ts';
import { SignalsConfig } from './signals/config.ts';
import { commitAll } from './store/collection.ts';
import { sqliteStore } from './store/sqlite.ts';
import { IN_MEMORY } from './store/sqlite-file.ts';
import { DEADLINES_STEADY_MS, RECORDS_STEADY_MS, startSweeps } from './sweeps.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const START = Date.UTC(2026, 0, 1);
const SERIAL = Serial.parse('4a');

/** Both clocks go by `pass`; the wall clock alone by `jump`. Sleepers wake when their time has come. */
function testTime() {
  let [wall, monotonic] = [START, 1_000];
  const sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();
  const clock: Clock = {
    now: () => wall,
    monotonic: () => monotonic,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        sleepers.add({ at: monotonic + ms, wake: resolve });
      }),
  };
  return {
    clock,
    jump(ms: number) {
      wall += ms;
    },
    /** In a hundred steps, with time for what each of them starts. */
    async pass(ms: number) {
      for (let step = 0; step < 100; step += 1) {
        wall += ms / 100;
        monotonic += ms / 100;
        for (const sleeper of sleepers)
          if (sleeper.at <= monotonic && sleepers.delete(sleeper)) sleeper.wake();
        for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate);
      }
    },
  };
}

async function bench() {
  const time = testTime();
  const store = sqliteStore({ path: IN_MEMORY });
  const records = openRecords(store, time.clock);
  const register = certificateRegister(store);
  const instance = InstanceId.parse('i-0123456789abcdef');
  const certificate = {
    ...{ serial: SERIAL, instance, ca: sha256('ca'), seen: false },
    ...{ notBefore: START, notAfter: START + NODE_LIFETIME_MS },
  };
  const revocation = { ...certificate, at: START, reason: 'keyCompromise', by: 'a' } as const;
  await register.revocations.create(SERIAL, revocation);
  const stop = new AbortController();
  const sweeps = startSweeps(
    {
      ...{ records, register, revocations: { reached: async () => undefined } },
      ...{ clock: time.clock, log: silentLog },
      removeAbandonedUploads: async () => undefined,
      keepCertificateFresh: async () => undefined,
      config: { name: 'coordinator', signals: SignalsConfig.parse({}) },
      seen: async () => new Map(),
    },
    stop.signal,
  );
  return {
    ...{ time, records, register, revocations: { reached: async () => undefined } },
    isRevoked: async () => (await register.revocations.get(SERIAL)) !== null,
    async close() {
      stop.abort();
      await Promise.all(sweeps);
      await store.close();
    },
  };
}

test('a clock that is a year ahead for hours deletes no revocation, and did it sweep, one would be gone', async () => {
  const { time, isRevoked, close } = await bench();
  try {
    await time.pass(MINUTE_MS);
    time.jump(365 * DAY_MS);
    await time.pass(RECORDS_STEADY_MS - 30 * MINUTE_MS);
    assert.ok(await isRevoked());
    time.jump(-365 * DAY_MS);
    await time.pass(DAY_MS);
    assert.ok(await isRevoked(), 'and its certificate is refused as before');
    // What is due by a steady clock goes.
    time.jump(365 * DAY_MS);
    await time.pass(RECORDS_STEADY_MS + 30 * MINUTE_MS);
    assert.equal(await isRevoked(), false);
  } finally {
    await close();
  }
  const careless = await bench();
  try {
    careless.time.jump(365 * DAY_MS);
    await sweepRecords({ ...careless, clock: careless.time.clock });
    assert.equal(await careless.isRevoked(), false);
  } finally {
    await careless.close();
  }
});

test('a jump past the deadline of every instance fails none, until they had time to report', async () => {
  const { time, records, close } = await bench();
  try {
    const instance = async (node: string) => {
      const name = NodeName.parse(node);
      await createNode(records, 'operator:ann', { name, spec: NodeSpec.parse({}) });
      return (await createInstance(records, 'operator:ann', name)).id;
    };
    const set = async (id: InstanceId, state: 'bootstrapping' | 'running') => {
      const found = await records.instances.get(id);
      assert.ok(found);
      const next = enter(found.record, state, time.clock.now());
      assert.ok(await commitAll(records.store, [records.instances.put(id, next, found.revision)]));
    };
    const state = async (id: InstanceId) => (await records.instances.get(id))?.record.state;
    const [slow, stuck] = [await instance('slow-1'), await instance('stuck-1')];
    for (const id of [slow, stuck]) await set(id, 'bootstrapping');
    await time.pass(DEADLINES_STEADY_MS + MINUTE_MS);
    time.jump(2 * DAY_MS);
    await time.pass(DEADLINES_STEADY_MS - MINUTE_MS);
    for (const id of [slow, stuck]) assert.equal(await state(id), 'bootstrapping');
    await set(slow, 'running');
    await time.pass(5 * MINUTE_MS);
    assert.deepEqual([await state(slow), await state(stuck)], ['running', 'failed']);
  } finally {
    await close();
  }
});

test('a jump is told once, in either direction; what slewing makes of a clock is none', () => {
  const told: string[] = [];
  const time = testTime();
  const watch = clockWatch({
    clock: time.clock,
    log: { ...silentLog, warn: (text, fields) => told.push(`${text} ${fields?.seconds}`) },
  });
  for (let at = 0; at < 100; at += 1) {
    time.jump(at % 2 === 0 ? 1_000 : 500);
    watch.steadyMs();
  }
  assert.equal(told.length, 0);
  time.jump(-3_600_000);
  assert.equal(watch.steadyMs(), 0);
  watch.steadyMs();
  time.jump(7_200_000);
  watch.steadyMs();
  assert.deepEqual(
    told.map((text) => text.split(' ').at(-1)),
    ['-3600', '7200'],
  );
});
