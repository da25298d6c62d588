// The runbook as a person walks it: to its end, on real machines.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { processesUnder } from '../../coordinator/drivers/processes.ts';

const RUNBOOK = join(import.meta.dirname, '../../examples/runbook/main.ts');
const LIMIT_MS = 1_500_000;

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'billet-walk-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

test('documents, two machines, a release that nobody signed, a drain and an end that leaves nothing', {
  timeout: LIMIT_MS,
}, async (t) => {
  const child = spawn(process.execPath, [RUNBOOK], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, text);
  assert.match(text, /module\.drift_detected/);
  assert.match(text, /The whole runbook was walked/);
  for (const line of text.split('\n')) assert.ok([...line].length <= 80, line);
  for (const line of text.matchAll(/billet instance provision .*?([\d.]+ s)$/gm))
    t.diagnostic(`two machines to running: ${line[1]}`);
  assert.deepEqual(await processesUnder(scratch), []);
  assert.deepEqual(await readdir(scratch), []);
});
