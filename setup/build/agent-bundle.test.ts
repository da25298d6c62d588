import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundleAgent } from './agent-bundle.ts';

test('the agent becomes one file that runs anywhere, and the same one each time', async (t) => {
  const [one, two] = [await bundleAgent(), await bundleAgent()];
  assert.ok(Buffer.from(one).equals(two));
  const dir = mkdtempSync(join(tmpdir(), 'billet-bundle-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, 'agent.mjs');
  writeFileSync(file, one);
  const { status, stderr } = spawnSync(process.execPath, [file, 'no-such-verb'], {
    cwd: '/',
    encoding: 'utf8',
  });
  assert.notEqual(status, 0);
  assert.match(stderr, /no command "no-such-verb"/);
  assert.doesNotMatch(stderr, /Cannot find (package|module)/);
});
