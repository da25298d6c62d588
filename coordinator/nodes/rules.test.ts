import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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
