import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ModuleName } from '#shared/schema/module.ts';
import { orders } from './orders.ts';
import { desiredOf, testModule } from './testing.ts';
import { type TestAgent, testAgent } from './testing-loop.ts';

const WEB = ModuleName.parse('web');
const never = new AbortController().signal;

async function withAgent(work: (agent: TestAgent) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-orders-'));
  const web = testModule('web');
  const agent = await testAgent({ dir, modules: [web], desired: desiredOf(1, [web]) });
  try {
    await agent.loop.once(never);
    await work(agent);
  } finally {
    await agent.close();
    await rm(dir, { recursive: true });
  }
}

test('an ordered restart takes a service that runs down, and brings it up, once', () =>
  withAgent(async ({ loop, done }) => {
    done.length = 0;
    const ordered = loop.order([WEB], never);
    await loop.once(never);
    const { lastReconcile, modules } = await ordered;
    assert.equal(lastReconcile?.outcome, 'changed');
    assert.deepEqual(
      done.filter((kind) => /service/.test(kind)),
      ['detach-service', 'attach-service'],
    );
    assert.deepEqual(
      modules.map(({ state }) => state),
      ['attached'],
    );
    done.length = 0;
    await loop.once(never);
    assert.ok(!done.some((kind) => /service/.test(kind)));
  }));

test('an order without names is a pass like any other, and an unwanted name is left detached', () =>
  withAgent(async ({ loop, done }) => {
    done.length = 0;
    const both = [loop.order([], never), loop.order([ModuleName.parse('gone')], never)];
    await loop.once(never);
    await Promise.all(both);
    assert.ok(!done.includes('attach-service'));
  }));

test('an order that is taken back before its pass names nothing in it', async () => {
  const given = orders();
  const stop = new AbortController();
  const ordered = given.give([WEB], stop.signal);
  stop.abort(new Error('lease lost'));
  await assert.rejects(ordered, /lease lost/);
  assert.deepEqual(given.take().restart, []);
});
