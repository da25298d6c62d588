// A disk that is full at every write of the agent, and then is not: nothing begins that cannot be
// recorded, nothing is rejected for it, it is said with a code and a hint, and all ends well.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { openJournal } from '../../agent/reconcile/journal.ts';
import { desiredOf, testModule } from '../../agent/reconcile/testing.ts';
import { type TestAgent, testAgent } from '../../agent/reconcile/testing-loop.ts';
import { ModuleName } from '../../shared/schema/module.ts';
import { type Change, watchDisk } from './agent-disk.ts';
import { worldLog } from './agent-lives.ts';

const TEMPORARY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
const never = new AbortController().signal;
const web = testModule('web');
const bad = testModule('web', {
  ...{ files: 'bad', sequence: 2, services: [{ name: 'main', exec: ['/FAIL'] }] },
});
let dir: string;
let full: (change: Change) => boolean;
let unwatch: () => Promise<void>;
let agent: TestAgent | null = null;

beforeEach(async () => {
  dir = await mkdtemp(join(TEMPORARY, 'billet-full-'));
  full = () => false;
  unwatch = watchDisk(dir, async (change, act) => {
    if (!full(change)) return await act();
    // As write(2) does it: a part goes through, and the next call does not.
    if (change.call === 'write') await act(change.data.subarray(0, 5));
    throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
  });
});
afterEach(async () => {
  await agent?.close();
  agent = null;
  await unwatch();
  await rm(dir, { recursive: true });
});

const writesTo = (name: string) => (change: Change) =>
  change.call === 'write' && change.path.includes(name);
const codes = ({ loop }: TestAgent) => loop.status.conditions.map(({ code }) => code);

async function started(...generations: (typeof web)[][]): Promise<TestAgent> {
  agent = await testAgent({ dir, modules: [web, bad], desired: desiredOf(1, []) });
  for (const [index, modules] of generations.entries()) {
    agent.desired = desiredOf(index + 1, modules);
    await agent.loop.once(never);
    agent.confirmed = index + 1;
    await agent.loop.once(never);
  }
  return agent;
}

test('a step that the journal has no room for does not begin, and rejects no release', async () => {
  const node = await started([]);
  full = writesTo('/run/journal');
  node.desired = desiredOf(2, [web]);
  await node.loop.once(never);
  assert.deepEqual(worldLog(dir), []);
  assert.ok(codes(node).includes('STORE_FULL'));
  assert.match(node.loop.status.conditions.at(-1)?.hint ?? '', /disk/);
  assert.deepEqual(node.state.record.rejected, []);
  full = () => false;
  await node.loop.once(never);
  assert.deepEqual(worldLog(dir), ['mount web', 'start billet-web-main.service']);
  const journal = await openJournal(join(dir, 'run/journal'));
  await journal.close();
  assert.deepEqual(journal.unfinished, []);
});

test('what of a record was written before the disk was full is no record', async () => {
  const path = join(dir, 'journal');
  const journal = await openJournal(path);
  const name = ModuleName.parse('web');
  full = writesTo('/journal');
  await assert.rejects(journal.begin(name), { code: 'STORE_FULL', hint: /disk/ });
  full = () => false;
  await journal.begin(name);
  full = ({ call }) => call === 'sync';
  await assert.rejects(journal.done(name), { code: 'STORE_FULL' });
  assert.deepEqual(journal.unfinished, [name]);
  await journal.close();
  full = () => false;
  const again = await openJournal(path);
  assert.deepEqual(again.unfinished, [name]);
  await again.done(name);
  await again.close();
});

test('a boot record that cannot be written keeps no node from going back, and is written later', async () => {
  const node = await started([web]);
  full = writesTo('boot-record');
  node.desired = desiredOf(2, [bad]);
  await node.loop.once(never);
  assert.ok(codes(node).includes('STORE_FULL'));
  await node.loop.once(never);
  assert.equal(worldLog(dir).at(-1), 'start billet-web-main.service');
  assert.ok(codes(node).includes('STORE_FULL'));
  full = () => false;
  await node.loop.once(never);
  assert.ok(!codes(node).includes('STORE_FULL'));
  await node.close();
  agent = await testAgent({ dir, modules: [web, bad], desired: desiredOf(2, [bad]) });
  assert.deepEqual(
    agent.state.record.rejected.map(({ generation }) => generation),
    [2],
  );
});

test('full at any one of its writes, once: it ends where it would have ended', async () => {
  let nth = 0;
  for (let at = 0, reached = true; reached; at += 1) {
    await rm(dir, { recursive: true });
    nth = 0;
    reached = false;
    const node = await started([]);
    full = ({ call }) => {
      if (!['write', 'create', 'mkdir', 'sync'].includes(call) || nth++ !== at) return false;
      reached = true;
      return true;
    };
    node.desired = desiredOf(2, [web]);
    node.confirmed = 2;
    for (let cycle = 0; cycle < 6; cycle += 1) await node.loop.once(never);
    full = () => false;
    const { status } = node.loop;
    assert.deepEqual([status.phase, status.generation], ['ready', 2], `full at ${at}`);
    assert.deepEqual(status.conditions, [], `full at ${at}`);
    assert.equal(node.state.record.good?.generation, 2, `full at ${at}`);
    await node.close();
    agent = null;
  }
  assert.ok(nth > 20);
});
