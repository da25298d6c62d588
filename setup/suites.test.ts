import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingLines, selectSuites } from './suites.ts';

const suites = [{ name: 'check' }, { name: 'cold-boot' }, { name: 'tamper' }];

test('without words every suite runs, with words those that they are part of', () => {
  assert.deepEqual(selectSuites(suites, []), suites);
  assert.deepEqual(selectSuites(suites, ['boot', 'tam']), suites.slice(1));
  assert.deepEqual(selectSuites(suites, ['nothing']), []);
});

test('the table gives minutes, the sum, and a closing line that counts', () => {
  const text = closingLines(
    [
      { name: 'check', code: 0, ms: 30_000 },
      { name: 'cold-boot', code: 1, ms: 90_000 },
    ],
    3,
  );
  assert.equal(
    text,
    [
      '',
      'check          0.5 min  passed',
      'cold-boot      1.5 min  failed (1)',
      'in all         2.0 min',
      '',
      'suites: 1 passed, 1 failed, 1 skipped',
      '',
    ].join('\n'),
  );
});
