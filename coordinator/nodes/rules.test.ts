import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dueDeadline, follow } from './lifecycle.ts';
import { advance, confirm, desiredEtag, type Generations, newestGood, reject } from './rules.ts';

const FIRST: Generations = advance(
  { generation: 1, answer: 0, kept: [], goods: [], rejected: [] },
  1,
);

const move = fc.record({
  what: fc.constantFrom('advance', 'confirm', 'reject'),
  at: fc.integer({ min: 0, max: 40 }),
});

test('whatever is reported: no rejected generation is gone back to, and what is answered is kept', async () => {
  await fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      let state = FIRST;
      for (const { what, at } of moves) {
        const before = state;
        if (what === 'advance') state = advance(state, state.generation + 1);
        else state = what === 'confirm' ? confirm(state, at) : reject(state, at, 'why');
        const rejected = state.rejected.map(({ generation }) => generation);
        const good = newestGood(state);
        assert.ok(good === null || (!rejected.includes(good) && state.kept.includes(good)));
        assert.ok(state.kept.includes(state.generation));
        assert.ok(state.kept.length <= 18 && rejected.length <= 64);
        const isSame = state === before;
        assert.equal(desiredEtag(state, 'h') === desiredEtag(before, 'h'), isSame);
      }
    }),
  );
});

test('when the newest good generation is rejected, the one before it is gone back to', () => {
  const two = confirm(advance(confirm(FIRST, 1), 2), 2);
  assert.equal(newestGood(two), 2);
  assert.equal(newestGood(reject(two, 2, 'a probe failed late')), 1);
});

test('a deadline is signalled once, and later ends the wait', () => {
  const at = (hours: number, signalled = 0) => {
    const instance = { state: 'bootstrapping' as const, stateSince: 0, signalled };
    return dueDeadline(instance, 'manual', hours * 3_600_000);
  };
  assert.equal(at(0.2), null);
  assert.equal(at(0.3)?.action, 'signal');
  assert.equal(at(0.3, 15 * 60_000), null);
  assert.equal(at(25, 15 * 60_000)?.action, 'fail');
  const waiting = { state: 'pending' as const, stateSince: 0, signalled: 0 };
  assert.equal(dueDeadline(waiting, 'manual', 1e12), null, 'a person has no deadline');
  assert.throws(() => follow('terminated', 'running'), { code: 'INTERNAL' });
});
