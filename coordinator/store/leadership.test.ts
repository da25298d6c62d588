// Leadership between two coordinators over one store, on a clock that the test moves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '#shared/clock.ts';
import { put } from './contract-fixture.ts';
import { leadership } from './leadership.ts';
import { sqliteStore } from './sqlite.ts';
import { IN_MEMORY } from './sqlite-file.ts';

/** A clock whose origin and pace are its own, as those of two machines are. */
function handClock(at: number): Clock & { forward(ms: number): void } {
  let monotonic = at;
  return {
    now: () => 0,
    monotonic: () => monotonic,
    sleep: async () => {},
    forward(ms) {
      monotonic += ms;
    },
  };
}

function pair() {
  const store = sqliteStore({ path: IN_MEMORY });
  const clocks = { a: handClock(5), b: handClock(9_000_000) };
  const of = (holder: 'a' | 'b') =>
    leadership({ store, clock: clocks[holder], name: 'sensors', holder, ttlMs: 1_000 });
  return { store, clocks, of, a: of('a'), b: of('b') };
}

test('one leads; another takes over only when the beat stood still for a whole ttl', async () => {
  const { store, clocks, a, b } = pair();
  assert.equal((await a.campaign())?.epoch, 1);
  assert.equal(await b.campaign(), null);
  clocks.b.forward(999);
  assert.equal(await b.campaign(), null);
  assert.equal((await a.campaign())?.until, 1_005);
  clocks.b.forward(999);
  assert.equal(await b.campaign(), null);
  clocks.b.forward(1_000);
  assert.equal((await b.campaign())?.epoch, 2);
  assert.equal(await a.campaign(), null);
  await store.close();
});

test('a leader that was overtaken writes nothing, and renewals do not spoil its commits', async () => {
  const { store, clocks, a, b } = pair();
  const term = await a.campaign();
  assert.ok(term);
  await a.campaign();
  assert.ok(await store.commit([term.condition], [put('k', 'a')]));
  await b.campaign();
  clocks.b.forward(1_000);
  assert.ok(await b.campaign());
  assert.equal(await store.commit([term.condition], [put('k', 'late')]), null);
  await store.close();
});

test('a leader that lets go, or starts again, keeps nobody waiting', async () => {
  const { store, of, a, b } = pair();
  const before = await a.campaign();
  const again = await of('a').campaign();
  assert.deepEqual([before?.epoch, again?.epoch], [1, 2]);
  assert.ok(before);
  assert.equal(await store.commit([before.condition], [put('k')]), null);
  await a.release();
  assert.equal(await b.campaign(), null);
  const third = of('a');
  await third.campaign();
  await third.release();
  assert.equal((await b.campaign())?.epoch, 4);
  await store.close();
});
