import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AGENT_FILES, writeAgent } from './agent-bundle.ts';

let dir: string;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'billet-bundle-'));
  await writeAgent(dir);
});
after(() => rmSync(dir, { recursive: true }));

test('the agent becomes files that run anywhere, and the same ones each time', async () => {
  const first = AGENT_FILES.map((name) => readFileSync(join(dir, name)));
  await writeAgent(dir);
  assert.deepEqual(readdirSync(dir).sort(), AGENT_FILES);
  for (const [index, name] of AGENT_FILES.entries())
    assert.ok(readFileSync(join(dir, name)).equals(first[index] ?? Buffer.of()), name);

  const { status, stderr } = spawnSync(process.execPath, [join(dir, 'agent.mjs'), 'no-such-verb'], {
    cwd: '/',
    encoding: 'utf8',
  });
  assert.notEqual(status, 0);
  assert.match(stderr, /no command "no-such-verb"/);
  assert.doesNotMatch(stderr, /Cannot find (package|module)/);
});

test('threads are small, since each start of the agent reads them again', () => {
  for (const name of AGENT_FILES.filter((each) => each !== 'agent.mjs'))
    assert.ok(statSync(join(dir, name)).size < 64 * 1024, name);
});
