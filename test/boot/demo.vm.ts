// The demo as a person runs it: to its end, and stopped in the middle.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const DEMO = join(import.meta.dirname, '../../examples/demo/main.ts');
const ONCE_MS = 900_000;

let scratch: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'billet-demo-test-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

function startDemo(args: readonly string[]) {
  const child = spawn(process.execPath, [DEMO, ...args], {
    env: { ...process.env, TMPDIR: scratch },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  const seen = Promise.withResolvers<void>();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.includes('Power on')) seen.resolve();
  });
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const gone = exited.then((code) => assert.fail(`the demo ended with ${code}: ${text}`));
  gone.catch(() => undefined);
  return { child, exited, poweredOn: Promise.race([seen.promise, gone]), text: () => text };
}

test('the demo ends with a page served from inside a verified node, on lines that fit 80 columns', {
  timeout: ONCE_MS,
}, async () => {
  const demo = startDemo(['--once']);
  assert.equal(await demo.exited, 0, demo.text());
  assert.match(demo.text(), /Root mounted +verity=require/);
  assert.match(demo.text(), /Web page answers inside the node/);
  assert.match(demo.text(), /Where the [\d.]+ seconds went/);
  for (const line of demo
    .text()
    .split('\n')
    .filter((each) => !each.includes('note:')))
    assert.ok([...line].length <= 80, line);
  assert.deepEqual(await readdir(scratch), []);
});

test('stopped in the middle, it leaves no machine, no mount and no file', {
  timeout: ONCE_MS,
}, async () => {
  const demo = startDemo([]);
  await demo.poweredOn;
  await new Promise((resolve) => setTimeout(resolve, 3000));
  demo.child.kill('SIGINT');
  assert.equal(await demo.exited, 130);
  assert.match(demo.text(), /Nothing is left running/);
  assert.deepEqual(await readdir(scratch), []);
  // Its sockets lie in the scratch folder, so its command line names it.
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    assert.ok(!line.includes(scratch), line);
  }
  assert.ok(!(await readFile('/proc/self/mountinfo', 'utf8')).includes(scratch));
});
