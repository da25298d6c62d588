import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AREAS, areaSums, type Item, judgeItems } from './gc.ts';

const HOUR = 3_600_000;
const item = (path: string, ageMs: number, more: Partial<Item> = {}): Item => ({
  ...{ area: 'cache', kind: 'root', path, bytes: 10, ageMs, held: null },
  ...more,
});
const LIMITS = { keep: 2, inUseMs: 2 * HOUR };

test('the newest of each kind stay, and so does what was used lately; the rest can go', () => {
  const items = [9, 8, 1, 7].map((hours) => item(`a${hours}`, hours * HOUR));
  const other = item('b', 50 * HOUR, { kind: 'layer' });
  const going = judgeItems([...items, other], LIMITS).filter(({ goes }) => goes);
  assert.deepEqual(
    going.map((one) => one.item.path),
    ['a9', 'a8'],
  );
});

test('what is held stays whatever its age, and what a dead writer left goes at any age', () => {
  const latest = item('latest', 99 * HOUR, { held: 'latest' });
  const partial = item('partial', 0, { kind: 'partial' });
  const newer = [1, 2, 3].map((n) => item(`n${n}`, n * HOUR));
  const [first, second] = judgeItems([latest, partial, ...newer], LIMITS);
  assert.deepEqual([first?.goes, first?.why, second?.goes], [false, 'latest', true]);
});

test('an area over its limit says so, and how much of it can go', () => {
  const judgements = judgeItems(
    [1, 2, 3].map((n) => item(`n${n}`, n * 10 * HOUR)),
    LIMITS,
  );
  const [cache] = areaSums(judgements, { cache: 25, evidence: 25, output: 25 });
  assert.deepEqual([cache?.bytes, cache?.freeableBytes, cache?.over], [30, 10, true]);
});

test('property: after pruning nothing can go, and of each kind the newest is there', async () => {
  const some = fc.record({
    area: fc.constantFrom(...AREAS),
    kind: fc.constantFrom('a', 'b', 'partial'),
    path: fc.uuid(),
    bytes: fc.nat(1000),
    ageMs: fc.nat(9 * HOUR),
    held: fc.constantFrom(null, null, 'latest'),
  });
  await fc.assert(
    fc.property(fc.array(some), fc.integer({ min: 1, max: 4 }), (items, keep) => {
      const limits = { ...LIMITS, keep };
      const staying = judgeItems(items, limits)
        .filter(({ goes }) => !goes)
        .map((one) => one.item);
      assert.ok(judgeItems(staying, limits).every(({ goes }) => !goes));
      for (const one of items.filter(({ area, kind }) => area !== 'output' && kind !== 'partial'))
        assert.ok(
          staying.some(
            ({ area, kind, ageMs }) => area === one.area && kind === one.kind && ageMs <= one.ageMs,
          ),
        );
    }),
  );
});
