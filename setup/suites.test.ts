import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingLines, inTurns, selectSuites } from './suites.ts';

const suites = [{ name: 'check' }, { name: 'cold-boot' }, { name: 'tamper' }];

test('without words every suite runs, with words those that they are part of', () => {
  assert.deepEqual(selectSuites(suites, []), suites);
  assert.deepEqual(selectSuites(suites, ['boot', 'tam']), suites.slice(1));
  assert.deepEqual(selectSuites(suites, ['nothing']), []);
});

test('the table gives minutes of each and of all, and a closing line that counts', () => {
  const text = closingLines(
    [
      { name: 'check', code: 0, ms: 30_000 },
      { name: 'cold-boot', code: 1, ms: 90_000 },
    ],
    3,
    100_000,
  );
  assert.equal(
    text,
    [
      '',
      'check          0.5 min  passed',
      'cold-boot      1.5 min  failed (1)',
      'in all         1.7 min',
      '',
      'suites: 1 passed, 1 failed, 1 skipped',
      '',
    ].join('\n'),
  );
});

test('suites with peers go in pairs; the check, machines, and what measures go alone', () => {
  const named = (name: string, paired: boolean) => ({ name, paired });
  const [check, first, idle] = [named('check', false), named('a', true), named('agent-idle', true)];
  const [second, boot] = [named('b', true), named('boot', false)];
  assert.deepEqual(inTurns([check, first, idle, second, boot]), [
    { lanes: 1, suites: [check] },
    { lanes: 2, suites: [first, second] },
    { lanes: 1, suites: [idle] },
    { lanes: 1, suites: [boot] },
  ]);
});
