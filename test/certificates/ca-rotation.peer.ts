// A coordinator killed -9 while it rotates or retires its CA, again and again: it starts, serves, and
// a context that trusts the CA of before reaches it, until that one is retired. The process is real.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { billet } from '../../cli/testing.ts';
import { CaState } from '../../shared/schema/records.ts';

const MAIN = join(import.meta.dirname, '../../coordinator/main.ts');
/** From before the first write to after the reply, as long as they take here. */
const DELAYS_MS = [0, 2, 4, 6, 8, 10, 12, 15, 20, 1_000];

async function start(stateDir: string): Promise<ChildProcess> {
  const flags = ['--state-dir', stateDir, '--listen', '127.0.0.1:0', '--boot-listen', 'none'];
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  for await (const chunk of child.stderr ?? []) {
    said += chunk;
    if (/serving url=/.test(said)) return child;
  }
  throw new Error(`it did not start: ${said}`);
}

test('killed at any moment of a rotation or retirement, it starts again with one whole state or the other', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'billet-rotation-'));
  const context = join(stateDir, 'ops.json');
  const ca = (...args: string[]) => billet(['ca', ...args, '--json', '--context', context]);
  const outcomes: string[] = [];
  let child = await start(stateDir);
  try {
    writeFileSync(context, readFileSync(join(stateDir, 'admin.json')), { mode: 0o600 });
    for (const delayMs of DELAYS_MS)
      for (const verb of ['rotate', 'retire'] as const) {
        const before = await state(ca);
        const asked = ca(verb);
        await setTimeout(delayMs);
        child.kill('SIGKILL');
        await once(child, 'exit');
        const acknowledged = (await asked).code === 0;
        child = await start(stateDir);
        // The port is another one; of the CAs only what the context had, or had just learned.
        const admin = JSON.parse(readFileSync(join(stateDir, 'admin.json'), 'utf8'));
        const own = JSON.parse(readFileSync(context, 'utf8'));
        const bundle = verb === 'retire' ? admin.ca : own.ca;
        writeFileSync(context, JSON.stringify({ ...own, url: admin.url, ca: bundle }));
        const after = await state(ca);
        const wanted = verb === 'rotate' ? 2 : 1;
        const done = after.length === wanted;
        assert.ok(done || String(after) === String(before), `${verb}: ${before} -> ${after}`);
        if (acknowledged) assert.ok(done, 'what was acknowledged is there');
        outcomes.push(`${verb} ${done ? 'done' : 'as before'}`);
        if (!done) assert.equal((await ca(verb)).code, 0);
        assert.equal((await state(ca)).length, wanted);
      }
  } finally {
    child.kill('SIGKILL');
    rmSync(stateDir, { recursive: true, force: true });
  }
  // The delays met both sides of the step.
  assert.ok(new Set(outcomes).size >= 3, String(outcomes));
});

/** Fingerprints, the issuing one first. */
async function state(ca: (...args: string[]) => ReturnType<typeof billet>): Promise<string[]> {
  const { code, stdout, stderr } = await ca('show');
  assert.equal(code, 0, stderr);
  return CaState.parse(JSON.parse(stdout)).authorities.map(({ fingerprint }) => fingerprint);
}
