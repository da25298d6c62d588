import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BenchResult, Figure } from './bench.ts';
import { median } from './sample.ts';
import { amount, closing, headline, resultLines } from './table.ts';

const figure = (fields: Partial<Figure>): Figure => ({
  name: 'something',
  value: 1,
  unit: 's',
  target: null,
  ...fields,
});

test('a figure stands beside its target, with what became of it, in 80 columns', () => {
  const text = resultLines({
    bench: 'host/compose',
    seconds: 1.6,
    figures: [
      figure({ name: 'fast', value: 0.25, target: { at: 'most', value: 0.5 } }),
      figure({ name: 'slow', value: 1234.5, unit: 'MB/s', target: { at: 'least', value: 2000 } }),
      figure({
        name: 'a name that is far too long for its column, and then some',
        yardstick: { name: 'skopeo', value: 2 },
        note: 'word '.repeat(40).trim(),
      }),
    ],
  });
  assert.match(text, /^host\/compose \(2 s\)\n {2}fast +0\.25 s +≤ 0\.50 s {2}met\n/);
  assert.match(text, /slow +1,235 MB\/s +≥ 2,000 MB\/s {2}MISSED/);
  assert.match(text, /skopeo +2\.00 s/);
  for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
});

test('a bench that failed shows its error and its hint, and is counted', () => {
  const failed: BenchResult = { bench: 'x', seconds: 0, error: 'no disk', hint: 'get one' };
  assert.match(resultLines(failed), /failed: no disk\n +hint: get one/);
  const met = figure({ target: { at: 'most', value: 1 } });
  const missed = figure({ target: { at: 'least', value: 2 } });
  const good: BenchResult = { bench: 'y', seconds: 0, figures: [met, missed, figure({})] };
  assert.equal(closing([good]), 'targets: 1 met, 1 missed');
  assert.equal(closing([good, failed]), 'targets: 1 met, 1 missed, 1 benches failed');
});

test('the machine is named above the figures, and that it is busy', () => {
  const parts = { model: 'EPYC', cores: 2, memoryGib: 24, kernel: '6.18', node: 'v26.10.0' };
  const machine = { ...parts, load: 0.1 };
  assert.doesNotMatch(headline(machine, ''), /busy/);
  assert.match(headline({ ...machine, load: 3 }, ''), /load 3: the machine is busy/);
  assert.match(headline(machine, '2026-11-21'), /2 × EPYC, 24 GiB, Linux 6\.18, Node v26\.10\.0/);
});

test('medians of odd and even numbers of values, amounts with three digits', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(median([7]), 7);
  assert.deepEqual(
    [1_234_567, 123.4, 12.34, 0.1234].map((value) => amount(value, 'x')),
    ['1,234,567 x', '123 x', '12.3 x', '0.12 x'],
  );
});
