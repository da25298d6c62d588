import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ago, bytes, clean, listing, table } from './output.ts';

interface Row {
  readonly name: string;
  readonly note: string;
}

const columns = [
  { header: 'NAME', value: ({ name }: Row) => name, shrinks: true },
  { header: 'NOTE', value: ({ note }: Row) => note },
];

test('a table is aligned under its headers, and its lines have no blanks at the end', () => {
  assert.deepEqual(table([{ name: 'web-1', note: 'x' }], columns, 80, 'none'), [
    'NAME   NOTE',
    'web-1  x',
  ]);
  assert.deepEqual(table([], columns, 80, 'no nodes'), ['no nodes']);
});

test('the column that may shrink is cut first, and the cut shows', () => {
  const rows = [{ name: 'a'.repeat(30), note: 'b'.repeat(10) }];
  assert.equal(table(rows, columns, 24, '')[1], `${'a'.repeat(11)}…  ${'b'.repeat(10)}`);
});

test('no line of a table is wider than the terminal', () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ name: fc.string({ maxLength: 99 }), note: fc.string({ maxLength: 99 }) }),
      ),
      fc.integer({ min: 20, max: 200 }),
      (rows, width) => {
        for (const line of table(rows, columns, width, 'none'))
          assert.ok([...line].length <= width, line);
      },
    ),
  ));

test('a listing wraps at blanks, and breaks no digest', () => {
  const digest = `sha256:${'0123456789abcdef'.repeat(4)}`;
  assert.deepEqual(
    listing(
      [
        ['short', 'x'],
        ['hint', 'one two three four five'],
        ['digest', digest],
        ['both', `6.12 ${digest}`],
        ['none', ''],
      ],
      20,
    ),
    [
      'short   x',
      'hint    one two',
      '        three four',
      '        five',
      'digest',
      `  ${digest}`,
      'both    6.12',
      `  ${digest}`,
      'none',
    ],
  );
  const [line = ''] = listing([['composefs', digest]], 80).slice(1);
  assert.ok(line.endsWith(digest) && line.length <= 80);
});

test('text from outside can neither move the cursor nor forge a line', () => {
  assert.equal(clean('a\u001b[2Jb\nc\u009bd\u202ee'), 'a?[2Jb?c?d?e');
  const rows = [{ name: 'x\ny', note: '\u001b[31m' }];
  assert.equal(table(rows, columns, 80, '').length, 2);
});

test('times and sizes are in units that people read', () => {
  const now = Date.parse('2026-01-01T12:00:00.000Z');
  assert.equal(ago('2026-01-01T11:59:30.000Z', now), '30 s');
  assert.equal(ago('2026-01-01T11:00:00.000Z', now), '60 min');
  assert.equal(ago('2025-12-29T12:00:00.000Z', now), '3 d');
  assert.equal(ago(null, now), '-');
  assert.equal(bytes(0), '0 B');
  assert.equal(bytes(1536), '1.5 KiB');
  assert.equal(bytes(3 * 1024 ** 3), '3.0 GiB');
});
