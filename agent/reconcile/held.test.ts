// The reconcile loop while a drain holds it: what runs goes or stays, nothing new comes, and no
// generation is judged.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { desiredOf, testModule } from './testing.ts';
import { type TestAgent, testAgent } from './testing-loop.ts';

const never = new AbortController().signal;
const base = testModule('base');
const web = testModule('web', { requires: ['base'] });
const web2 = testModule('web', { files: 'web 2', sequence: 2, requires: ['base'] });

let dir: string;
let agent: TestAgent;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-held-'));
  const modules = [base, web, web2];
  agent = await testAgent({ dir, modules, desired: desiredOf(1, [base, web]) });
  await cycles();
});
afterEach(async () => {
  await agent.close();
  await rm(dir, { recursive: true });
});

async function cycles(): Promise<void> {
  for (let cycle = 0; cycle < 3; cycle += 1) await agent.loop.once(never);
}
const modules = () => agent.loop.status.modules.map(({ name, version }) => `${name} ${version}`);
const codes = () => agent.loop.status.conditions.map(({ code }) => code);
const stops = () =>
  readFileSync(join(dir, 'world.log'), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('stop '));

test('held whole, services stop in order, nothing counts as failed, and they come back', async () => {
  agent.held = 'all';
  agent.failing.add('web');
  await cycles();
  assert.deepEqual(stops(), ['stop billet-web-main.service', 'stop billet-base-main.service']);
  assert.deepEqual([modules(), codes()], [[], ['DRAINED']]);
  const { phase, verdicts, held } = agent.loop.status;
  assert.deepEqual([phase, verdicts, held], ['ready', [], 'all']);
  assert.deepEqual(await agent.loop.plan(never), []);
  agent.failing.clear();
  agent.held = 'nothing';
  await cycles();
  assert.deepEqual([modules(), codes()], [['base 1.0.1', 'web 1.0.1'], []]);
});

test('a new generation waits while nothing new may come, and is not taken for what runs', async () => {
  agent.held = 'new';
  agent.desired = desiredOf(2, [base, web2]);
  await cycles();
  assert.deepEqual([modules(), codes()], [['base 1.0.1', 'web 1.0.1'], ['CORDONED']]);
  assert.equal(agent.loop.status.generation, 1);
  assert.deepEqual(stops(), []);
  agent.held = 'nothing';
  await cycles();
  assert.deepEqual(modules(), ['base 1.0.1', 'web 1.0.2']);
  assert.equal(agent.loop.status.generation, 2);
});

test('what is no longer wanted goes also while nothing new may come', async () => {
  agent.held = 'new';
  agent.desired = desiredOf(2, [base]);
  await cycles();
  assert.deepEqual(modules(), ['base 1.0.1']);
});

test('services that are gone by themselves are not started again by a held loop', async () => {
  agent.held = 'new';
  await agent.services.units.stop(['billet-web-main.service'], never);
  await cycles();
  assert.ok(codes().includes('SERVICE_DOWN'));
  assert.equal(stops().length, 1);
});
