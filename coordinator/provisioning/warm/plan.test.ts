import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { InstanceId } from '#shared/schema/ids.ts';
import { InstanceState } from '#shared/schema/records.ts';
import { planPool, type Waiting } from './plan.ts';

const idOf = (n: number) => InstanceId.parse(`i-${String(n).padStart(16, '0')}`);
const member = fc.record({
  id: fc.integer({ min: 0, max: 999 }).map(idOf),
  state: fc.constantFrom(...InstanceState.options),
  current: fc.boolean(),
  createdAt: fc.integer({ min: 0, max: 5 }),
});
const members = fc.uniqueArray(member, { maxLength: 12, selector: ({ id }) => id });
const wanted = fc.integer({ min: 0, max: 8 });
const isReady = ({ state }: Waiting) => state === 'running';
const isThere = ({ state }: Waiting) => state !== 'terminating' && state !== 'terminated';

/** What the provider and the deadlines make of it: all boots end, all ends are proven. */
const settle = (all: readonly Waiting[]): readonly Waiting[] =>
  all
    .filter(isThere)
    .filter(({ state }) => state !== 'failed')
    .map((one) => ({ ...one, state: 'running' }));

test('taking every step again and again leaves as many as wanted, ready and current, and nothing to do', async () => {
  await fc.assert(
    fc.property(members, wanted, (start, count) => {
      let all: readonly Waiting[] = start;
      for (let pass = 0; pass < 40; pass += 1) {
        const { make, end } = planPool(count, all, 100);
        const made = Array.from({ length: make }, (_, n) => ({
          ...{ id: idOf(1_000 + 100 * pass + n), state: 'pending' as const },
          ...{ current: true, createdAt: 10 + pass },
        }));
        all = [...all.map((one) => (end.includes(one.id) ? ending(one) : one)), ...made];
        all = settle(all);
      }
      assert.equal(all.filter((one) => isReady(one) && one.current).length, count);
      assert.equal(all.length, count);
      assert.deepEqual(planPool(count, all, 100), { make: 0, end: [] });
    }),
  );
});
const ending = (one: Waiting): Waiting => ({ ...one, state: 'terminating' });

test('a step never makes more than are missing or than there is room for, and never both makes and ends', async () => {
  await fc.assert(
    fc.property(members, wanted, fc.integer({ min: -3, max: 5 }), (all, count, room) => {
      const { make, end } = planPool(count, all, room);
      const there = all.filter(isThere);
      assert.ok(make >= 0 && make <= Math.max(0, room));
      assert.ok(there.length + make <= Math.max(count, there.length));
      assert.ok(make === 0 || end.length === 0);
      for (const id of end) assert.ok(there.some((one) => one.id === id));
    }),
  );
});

test('outdated instances are replaced one at a time: at most one ready instance is missing for it', async () => {
  await fc.assert(
    fc.property(members, wanted, (all, count) => {
      const { end } = planPool(count, all, 100);
      const left = all.filter((one) => isReady(one) && !end.includes(one.id));
      const ready = all.filter(isReady);
      // More than wanted: these go at once, the worst first.
      if (all.filter(isThere).length > count)
        assert.ok(left.length >= Math.min(ready.length, count));
      else {
        assert.ok(end.length <= 1);
        if (end.length === 1)
          for (const one of all) assert.ok(!one.current || isReady(one) || !isThere(one));
      }
    }),
  );
});

test('what has failed keeps its place until it is closed, so that nothing is made in a loop', () => {
  const failed = { id: idOf(1), state: 'failed', current: true, createdAt: 0 } as const;
  assert.deepEqual(planPool(1, [failed], 9), { make: 0, end: [] });
  assert.deepEqual(planPool(1, [ending(failed)], 9), { make: 1, end: [] });
  assert.deepEqual(planPool(1, [ending(failed)], 0), { make: 0, end: [] });
});
