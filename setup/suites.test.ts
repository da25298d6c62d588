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

test('suites go with others of their kind; what measures or uses two machines goes alone before them; the longest begin', () => {
  const named = (kind: string, ...names: string[]) => names.map((name) => ({ name, kind }));
  const [check, peers, machines] = [
    named('check', 'check'),
    named('peer', 'a', 'agent-idle', 'b'),
    named('vm', 'demo', 'walk', 'medium', 'slots'),
  ];
  const turns = inTurns([...check, ...peers, ...machines]);
  assert.deepEqual(
    turns.map(({ lanes, suites }) => [lanes, ...suites.map(({ name }) => name)]),
    [
      [1, 'check'],
      [1, 'agent-idle'],
      [3, 'a', 'b'],
      [1, 'walk'],
      [2, 'slots', 'demo', 'medium'],
    ],
  );
});
