import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '#shared/clock.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { NodeSpec } from '#shared/schema/records.ts';
import { certificateRegister } from '../ca/register.ts';
import { records as openRecords } from '../records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { cancelTask, createTask } from '../tasks/task-writes.ts';
import { createInstance } from './instance-writes.ts';
import { createNode } from './node-writes.ts';
import { sweepRecords } from './sweep.ts';

const DAY_MS = 24 * 3_600_000;

test('an idempotency key is forgotten with its task: later it makes another one', async () => {
  const store = sqliteStore({ path: ':memory:' });
  let now = systemClock.now();
  const clock = { ...systemClock, now: () => now };
  const records = openRecords(store, clock);
  const revocations = { reached: async () => undefined };
  const deps = { records, register: certificateRegister(store), revocations, clock };
  try {
    const name = NodeName.parse('swept');
    await createNode(records, 'admin:a', { name, spec: NodeSpec.parse({}) });
    const { id: instance } = await createInstance(records, 'admin:a', name);
    const spec = { kind: 'collect-logs', lines: 10 } as const;
    const order = { instance, spec, attemptsMax: 1, idempotencyKey: 'nightly' };
    const first = await createTask(records, 'admin:a', order);
    await cancelTask(records, 'admin:a', first.id);
    now += 29 * DAY_MS;
    await sweepRecords(deps);
    assert.equal((await createTask(records, 'admin:a', order)).id, first.id);
    now += 2 * DAY_MS;
    await sweepRecords(deps);
    assert.notEqual((await createTask(records, 'admin:a', order)).id, first.id);
  } finally {
    await store.close();
  }
});
