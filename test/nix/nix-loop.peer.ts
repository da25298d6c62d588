// The reconcile loop of an agent on a node whose desired system is a NixOS closure, with the real Nix: good
// and rejected generations, health checks, going back, garbage, and caches that are away.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { desiredOf } from '../../agent/reconcile/testing.ts';
import { type TestAgent, testAgent } from '../../agent/reconcile/testing-loop.ts';
import { systemClock } from '../../shared/clock.ts';
import { NixClosure } from '../../shared/schema/nix-closure.ts';
import { type Builder, type BuiltSystem, builder, FAILS } from './nix-builder-fixture.ts';
import { type CacheServer, serveCache } from './nix-cache-fixture.ts';
import { type NixNode, nixNode } from './nix-node-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'billet-nix-loop-'));
const never = new AbortController().signal;
const nodes: NixNode[] = [];
const agents: TestAgent[] = [];
let make: Builder;
let cache: CacheServer;
let first: BuiltSystem;
let second: BuiltSystem;
let third: BuiltSystem;

before(async () => {
  make = builder(join(dir, 'build'));
  [first, second, third] = [released('first'), released('second'), released('third')];
  cache = await serveCache(join(dir, 'build/cache'));
});
after(async () => {
  for (const agent of agents) await agent.close();
  for (const node of nodes) node.end();
  await cache.close();
  rmSync(dir, { recursive: true, force: true });
});

function released(name: string, activation?: string): BuiltSystem {
  const system = make.build(name, activation);
  make.sign(system.path);
  make.publish(system.path);
  return system;
}

/** Generation `n` is this system, and nothing else. */
const generation = (n: number, { path }: BuiltSystem, more: object = {}) => ({
  ...desiredOf(n, []),
  closure: NixClosure.parse({ storePath: path, caches: [cache.url], ...more }),
});

const HEALTH = [{ kind: 'http', name: 'web', url: 'http://127.0.0.1:80/' }];

async function newAgent(desired: ReturnType<typeof generation>) {
  const root = join(dir, `node-${nodes.length}`);
  const node = nixNode(root, join(make.dir, 'store'), first.path);
  nodes.push(node);
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal: AbortSignal) => systemClock.sleep(ms / 20, signal),
  };
  const nix = await node.live({ keys: [{ key: make.key, systems: true }], clock });
  const agent = await testAgent({ dir: join(root, 'agent'), modules: [], desired, nix });
  agents.push(agent);
  return { node, agent };
}

async function settle({ loop }: TestAgent, cycles = 3): Promise<TestAgent['loop']['status']> {
  for (let cycle = 0; cycle < cycles; cycle++) await loop.once(never);
  return loop.status;
}

test('a closure becomes the system, is good once the coordinator confirms, and replaces the older ones', async () => {
  const { node, agent } = await newAgent(generation(1, second));
  const status = await settle(agent, 2);
  assert.equal(status.phase, 'ready');
  assert.equal(status.generation, 1);
  assert.equal(node.running(), 'nixos-system-second');
  assert.equal(status.verdicts.at(-1)?.verdict, 'unconfirmed');
  agent.confirmed = 1;
  assert.equal((await settle(agent, 1)).verdicts.at(-1)?.verdict, 'good');
  agent.desired = generation(2, third);
  agent.confirmed = 2;
  await settle(agent, 4);
  assert.equal(node.running(), 'nixos-system-third');
  assert.deepEqual(agent.done.filter((kind) => kind === 'collect-closures').length > 0, true);
  // What it was installed with was booted, so it stays until another boot; the second one is gone.
  assert.ok(node.stored().includes('nixos-system-first'));
  assert.ok(!node.stored().includes('nixos-system-second'));
});

test('an activation that fails rejects the generation, and the last good one runs again', async () => {
  const { node, agent } = await newAgent(generation(1, second));
  agent.confirmed = 1;
  await settle(agent);
  agent.desired = generation(2, released('broken', FAILS));
  const status = await settle(agent);
  assert.equal(node.running(), 'nixos-system-second');
  assert.equal(node.profile(), 'nixos-system-second');
  assert.equal(status.generation, 1);
  const rejected = status.verdicts.find(({ generation: each }) => each === 2);
  assert.equal(rejected?.verdict, 'rejected');
  assert.match(rejected?.reason ?? '', /ended with 4/);
  assert.equal(status.phase, 'ready');
});

test('a health check that fails brings the last good generation back', async () => {
  const { node, agent } = await newAgent(generation(1, second));
  agent.confirmed = 1;
  await settle(agent);
  agent.desired = generation(2, third, { healthCheck: HEALTH });
  agent.failing.add('nixos');
  await settle(agent, 1);
  assert.equal(node.running(), 'nixos-system-third');
  const status = await settle(agent, 2);
  assert.equal(node.running(), 'nixos-system-second');
  assert.deepEqual(
    status.verdicts.map((each) => [each.generation, each.verdict]),
    [
      [2, 'rejected'],
      [1, 'good'],
    ],
  );
});

test('a first generation that fails leaves the system that was there, is rejected, and is not tried again', async () => {
  const { node, agent } = await newAgent(generation(1, third, { healthCheck: HEALTH }));
  agent.failing.add('nixos');
  const status = await settle(agent, 4);
  assert.equal(node.running(), 'nixos-system-first');
  assert.equal(node.profile(), 'nixos-system-first');
  assert.deepEqual(node.activations(), ['switch nixos-system-third', 'switch nixos-system-first']);
  assert.equal(status.verdicts.length, 1);
  assert.equal(status.verdicts[0]?.verdict, 'rejected');
  assert.notEqual(status.phase, 'ready');
  assert.match(status.lastReconcile?.message ?? '', /was rejected/);
  agent.failing.clear();
  agent.desired = generation(2, second);
  await settle(agent);
  assert.equal(node.running(), 'nixos-system-second');
});

test('a cache that is away changes nothing that runs and rejects nothing; it is asked again', async () => {
  const { node, agent } = await newAgent(generation(1, second));
  agent.confirmed = 1;
  await settle(agent);
  agent.desired = generation(2, third);
  cache.fault = 'busy';
  const status = await settle(agent, 1);
  assert.equal(node.running(), 'nixos-system-second');
  assert.equal(status.lastReconcile?.code, 'NIX_CACHE_UNREACHABLE');
  assert.ok(status.conditions.some(({ code }) => code === 'NIX_CACHE_UNREACHABLE'));
  assert.ok(!status.verdicts.some(({ verdict }) => verdict === 'rejected'));
  cache.fault = 'none';
  await settle(agent, 2);
  assert.equal(node.running(), 'nixos-system-third');
});

test('a system for the next boot waits for it, and says so', async () => {
  const { node, agent } = await newAgent(generation(1, second, { activation: 'boot' }));
  const status = await settle(agent, 2);
  assert.equal(node.running(), 'nixos-system-first');
  assert.equal(node.profile(), 'nixos-system-second');
  assert.ok(status.conditions.some(({ code }) => code === 'REBOOT_PENDING'));
  assert.notEqual(status.generation, 1);
});

test('a machine without NixOS says that it cannot become one', async () => {
  const { agent, node } = await newAgent(generation(1, second));
  rmSync(join(node.root, 'run/current-system'));
  const status = await settle(agent, 1);
  assert.equal(status.lastReconcile?.code, 'UNSUPPORTED');
  assert.deepEqual(node.activations(), []);
});
