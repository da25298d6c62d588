// A NixOS system as the desired state of a node, with the real Nix: pulled from a binary cache over HTTP
// under the keys of the trust policy, activated, gone back from, collected. What is refused leaves store,
// profile and the running system as they were.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { NixClosure } from '../../shared/schema/nix-closure.ts';
import { type Builder, type BuiltSystem, builder, FAILS, HANGS } from './nix-builder-fixture.ts';
import { type CacheServer, serveCache } from './nix-cache-fixture.ts';
import { type NixNode, nixNode } from './nix-node-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'billet-nix-'));
const never = new AbortController().signal;
let make: Builder;
let cache: CacheServer;
let first: BuiltSystem;
let second: BuiltSystem;
const nodes: NixNode[] = [];

before(async () => {
  make = builder(join(dir, 'build'));
  first = make.build('first');
  second = make.build('second');
  for (const { path } of [first, second]) {
    make.sign(path);
    make.publish(path);
  }
  cache = await serveCache(join(dir, 'build/cache'));
});
after(async () => {
  for (const node of nodes) node.end();
  await cache.close();
  rmSync(dir, { recursive: true, force: true });
});

function newNode(): NixNode {
  const node = nixNode(join(dir, `node-${nodes.length}`), join(make.dir, 'store'), first.path);
  nodes.push(node);
  return node;
}
const own = () => [{ key: make.key, systems: true }];
const closure = (system: BuiltSystem, more: object = {}) =>
  NixClosure.parse({ storePath: system.path, caches: [cache.url], ...more });
const order = (system: BuiltSystem, more: object = {}) => ({
  ...({ generation: 2, storePath: system.path, activation: 'switch', timeoutSeconds: 60 } as const),
  ...more,
});

test('a signed closure is pulled over HTTP, set as the system profile and activated', async () => {
  const node = newNode();
  const system = await node.live({ keys: own() });
  assert.equal((await system.observe(closure(second)))?.held, false);
  await system.pull(closure(second), never);
  assert.equal((await system.observe(closure(second)))?.held, true);
  assert.equal(node.running(), 'nixos-system-first');
  await system.activate(order(second), never);
  assert.deepEqual(node.activations(), ['switch nixos-system-second']);
  assert.equal(node.running(), 'nixos-system-second');
  assert.equal(node.profile(), 'nixos-system-second');
  const seen = await system.observe(closure(second));
  assert.equal(seen?.unfinished, null);
  assert.equal(seen?.lastGood, first.path);
});

/** What a refusal leaves: the running system, the profile, and no path that was refused. */
async function refuses(
  bad: NixClosure,
  wanted: { code: string; hint: RegExp },
  keys: readonly { key: string; systems: boolean }[] = own(),
): Promise<NixNode> {
  const node = newNode();
  const system = await node.live({ keys });
  await assert.rejects(system.pull(bad, never), wanted);
  assert.equal((await system.observe(bad))?.held, false);
  assert.equal(node.running(), 'nixos-system-first');
  assert.equal(node.profile(), 'nixos-system-first');
  assert.deepEqual(node.activations(), []);
  const name = bad.storePath.slice(44);
  assert.ok(!node.stored().includes(name), `${name} is in the store`);
  return node;
}

test('a closure without a signature is refused before anything of it is fetched', async () => {
  const unsigned = make.build('unsigned');
  make.publish(unsigned.path);
  const before = cache.archives;
  await refuses(closure(unsigned), { code: 'NIX_SIGNATURE_MISSING', hint: /nix store sign/ });
  assert.equal(cache.archives, before);
});

test('a signed system with one unsigned path under it is refused', async () => {
  const half = make.build('half');
  make.sign(half.path, 'own', false);
  make.publish(half.path);
  const node = await refuses(closure(half), {
    code: 'NIX_SIGNATURE_MISSING',
    hint: /--recursive/,
  });
  assert.ok(!node.stored().includes('part-of-half'));
});

test('a closure that a foreign key signed is refused, whatever the coordinator says', async () => {
  const foreign = make.build('foreign');
  make.sign(foreign.path, 'foreign');
  make.publish(foreign.path);
  const before = cache.archives;
  await refuses(closure(foreign), { code: 'NIX_SIGNATURE_INVALID', hint: /trust policy/ });
  assert.equal(cache.archives, before);
});

test('a key for packages vouches for parts of a system, and not for a system', async () => {
  const packages = [{ key: make.key, systems: false }];
  await refuses(closure(second), { code: 'NIX_SIGNATURE_INVALID', hint: /for systems/ }, packages);
  const both = make.build('both');
  make.sign(both.path, 'foreign');
  make.sign(both.path, 'own', false);
  make.publish(both.path);
  const node = newNode();
  const system = await node.live({
    keys: [
      { key: make.key, systems: true },
      { key: make.foreignKey, systems: false },
    ],
  });
  await system.pull(closure(both), never);
  assert.ok(node.stored().includes('nixos-system-both'));
});

test('a node without Nix keys in its policy takes no closure', async () => {
  await refuses(closure(second), { code: 'NIX_SIGNATURE_INVALID', hint: /nixKeys/ }, []);
});

for (const fault of ['cut', 'short', 'flip'] as const)
  test(`an archive that arrives damaged (${fault}) is no system; the next attempt gets it`, async () => {
    cache.fault = fault;
    const node = await refuses(closure(second), { code: 'NIX_CACHE_DAMAGED', hint: /tries again/ });
    cache.fault = 'none';
    const system = await node.live({ keys: own() });
    await system.pull(closure(second), never);
    assert.equal((await system.observe(closure(second)))?.held, true);
  });

test('a cache that is away or busy leaves the node as it is; the next cache is asked', async () => {
  const away = 'http://127.0.0.1:9';
  const unreachable = { code: 'NIX_CACHE_UNREACHABLE', hint: /stays as it is/ };
  await refuses(closure(second, { caches: [away] }), unreachable);
  cache.fault = 'busy';
  const node = await refuses(closure(second), unreachable);
  cache.fault = 'none';
  const system = await node.live({ keys: own() });
  await system.pull(closure(second, { caches: [away, cache.url] }), never);
  assert.ok(node.stored().includes('nixos-system-second'));
});

test('a closure that is not in the cache, or has another NAR hash than its builder saw, is refused', async () => {
  const absent = make.build('absent');
  await refuses(closure(absent), { code: 'NIX_CLOSURE_MISSING', hint: /nix copy/ });
  const narHash = `sha256-${'A'.repeat(43)}=`;
  const other = closure(second, { narHash });
  await refuses(other, { code: 'NIX_CLOSURE_INVALID', hint: /built twice/ });
});

test('what is here and signed needs no cache: a node comes up with its caches away', async () => {
  const node = newNode();
  const life = await node.live({ keys: own() });
  await life.pull(closure(second), never);
  const next = await node.live({ keys: own() });
  await next.pull(closure(second, { caches: ['http://127.0.0.1:9'] }), never);
  assert.equal((await next.observe(closure(second)))?.held, true);
});

test('an activation that fails is gone back from, and says what its unit said', async () => {
  const failing = make.build('failing', FAILS);
  make.sign(failing.path);
  make.publish(failing.path);
  const node = newNode();
  const system = await node.live({ keys: own() });
  await system.pull(closure(failing), never);
  await assert.rejects(system.activate(order(failing), never), {
    code: 'NIX_ACTIVATION_FAILED',
    message: /ended with 4: unit nginx.service did not start; .*-first is active again/,
    hint: /billet-nixos-switch/,
  });
  assert.deepEqual(node.activations(), [
    'switch nixos-system-failing',
    'switch nixos-system-first',
  ]);
  assert.equal(node.profile(), 'nixos-system-first');
  assert.equal((await system.observe(null))?.unfinished, null);
});

test('an activation that hangs is ended at its deadline and gone back from', async () => {
  const hanging = make.build('hanging', HANGS);
  make.sign(hanging.path);
  make.publish(hanging.path);
  const node = newNode();
  const system = await node.live({ keys: own() });
  await system.pull(closure(hanging), never);
  await assert.rejects(system.activate(order(hanging, { timeoutSeconds: 1 }), never), {
    code: 'NIX_ACTIVATION_TIMEOUT',
    message: /within 1 s; .*-first is active again/,
    hint: /activationTimeoutSeconds/,
  });
  assert.equal(node.running(), 'nixos-system-first');
  assert.equal(node.profile(), 'nixos-system-first');
});

test('boot changes what the next boot takes up and nothing else; test the other way round', async () => {
  const node = newNode();
  const system = await node.live({ keys: own() });
  await system.pull(closure(second), never);
  await system.activate(order(second, { activation: 'boot' }), never);
  assert.deepEqual([node.running(), node.profile()], ['nixos-system-first', 'nixos-system-second']);
  const other = newNode();
  const tested = await other.live({ keys: own() });
  await tested.pull(closure(second), never);
  await tested.activate(order(second, { activation: 'test' }), never);
  assert.deepEqual(
    [other.running(), other.profile()],
    ['nixos-system-second', 'nixos-system-first'],
  );
});

test('garbage goes; what runs, was booted, is wanted or was the last good one stays', async () => {
  const node = newNode();
  const system = await node.live({ keys: own() });
  const third = make.build('third');
  make.sign(third.path);
  make.publish(third.path);
  for (const [index, each] of [second, third].entries()) {
    await system.pull(closure(each), never);
    await system.activate(order(each, { generation: index + 2 }), never);
  }
  await system.noteGood(closure(third));
  await system.collect([third.path, first.path], never);
  const stored = node.stored();
  for (const name of ['nixos-system-third', 'part-of-third', 'nixos-system-first', 'part-of-first'])
    assert.ok(stored.includes(name), name);
  for (const name of ['nixos-system-second', 'part-of-second'])
    assert.ok(!stored.includes(name), name);
  assert.deepEqual((await system.observe(null))?.generations, [first.path, third.path]);
});
