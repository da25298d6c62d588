// The command as a person starts it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, '../../bench/main.ts'), ...args], {
    encoding: 'utf8',
    timeout: 60_000,
  });

test('a bench gives one JSON document: machine, figures, and whether targets are met', () => {
  const { status, stdout, stderr } = bench('--json', 'host/compose');
  assert.equal(status, 0, stderr);
  const { machine, results } = JSON.parse(stdout);
  assert.ok(machine.cores > 0);
  assert.equal(results.length, 1);
  assert.equal(results[0].bench, 'host/compose');
  assert.equal(results[0].figures[0].met, results[0].figures[0].value <= 0.5);
});

test('names are listed; a word that no bench has in its name is a wrong command line', () => {
  assert.match(bench('--list').stdout, /^host\/compose$/m);
  assert.doesNotMatch(bench('--list').stdout, /simulate\/10000/);
  assert.match(bench('--list', '--full').stdout, /^simulate\/10000$/m);
  assert.match(bench('--list', 'simulate/10000').stdout, /^simulate\/10000$/m);
  const wrong = bench('nonsense');
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /no bench has nonsense/);
  assert.equal(bench('--nonsense').status, 2);
});
