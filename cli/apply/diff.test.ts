import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { unifiedDiff } from './diff.ts';

const text = (lines: ReturnType<typeof unifiedDiff>) =>
  lines.map(({ sign, text: line }) => (sign === '@' ? line : `${sign}${line}`));

test('a changed line stands between three lines of context, as diff -u has it', () => {
  const before = ['1', '2', '3', '4', '5', '6', '7', '8', '9'];
  const after = before.map((line) => (line === '5' ? 'five' : line));
  const expected = ['@@ -2,7 +2,7 @@', ' 2', ' 3', ' 4', '-5', '+five', ' 6', ' 7', ' 8'];
  assert.deepEqual(text(unifiedDiff(before, after)), expected);
});

test('a text that is new is all plus, and one that goes is all minus', () => {
  assert.deepEqual(text(unifiedDiff([], ['a', 'b'])), ['@@ -0,0 +1,2 @@', '+a', '+b']);
  assert.deepEqual(text(unifiedDiff(['a'], [])), ['@@ -1,1 +0,0 @@', '-a']);
  assert.deepEqual(unifiedDiff(['a'], ['a']), []);
});

test('the diff of any two texts turns the first into the second', async () => {
  const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 30 });
  await fc.assert(
    fc.property(lines, lines, (before, after) => {
      const result: string[] = [];
      let at = 0;
      for (const { sign, text: line } of unifiedDiff(before, after)) {
        if (sign === '@') {
          const [, from = '0', length = '0'] = /-(\d+),(\d+)/.exec(line) ?? [];
          const start = length === '0' ? Number(from) : Number(from) - 1;
          while (at < start) result.push(before[at++] ?? '');
        } else if (sign === '+') result.push(line);
        else {
          assert.equal(before[at], line);
          at += 1;
          if (sign === ' ') result.push(line);
        }
      }
      assert.deepEqual([...result, ...before.slice(at)], after);
    }),
    { numRuns: 300 },
  );
});
