// A real process is killed (SIGKILL) around each record that it makes durable: before each write,
// sync and rename of the journal, the boot record and what is attached, and in the middle of writes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { crashLoop } from './agent-loop.ts';
import { SCENARIOS, type ScenarioName } from './agent-scenarios.ts';

const CHILD = new URL('./agent-kill-child.ts', import.meta.url).pathname;
const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
let root: string;
before(async () => {
  root = await mkdtemp(join(TEMPORARY, 'billet-kill-'));
});
after(() => rm(root, { recursive: true, force: true }));

const NAMES = [
  'a release that updates, removes and adds',
  'a release that fails and is gone back from, with the coordinator away',
] as const satisfies ScenarioName[];

for (const [index, name] of NAMES.entries())
  test(`killed around each record of: ${name}`, async (t) => {
    let killed = 0;
    const die = async (dir: string, nth: number) => {
      const child = spawn(process.execPath, [CHILD, dir, name, `${nth}`], { stdio: 'inherit' });
      const [, signal] = await once(child, 'exit');
      assert.equal(signal, 'SIGKILL');
      killed += 1;
    };
    const { failures } = await crashLoop({
      ...{ scenario: SCENARIOS[name], dir: join(root, `${index}`), die },
      only: ({ what }) => /^(write|sync|rename) .*(journal|boot-record|attached)/.test(what),
    });
    t.diagnostic(`${killed} kills`);
    assert.ok(killed > 20);
    assert.deepEqual(failures, []);
  });
