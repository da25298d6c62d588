// The agent is killed (SIGKILL) before each command of Nix and around each move of a unit, while it pulls
// and activates a NixOS system, and while it goes back from one. The next life ends what was begun; the
// unit itself outlives the agent.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BilletError } from '../../shared/errors.ts';
import { NixClosure } from '../../shared/schema/nix-closure.ts';
import { type Builder, type BuiltSystem, builder, FAILS, WORKS } from './nix-builder-fixture.ts';
import { type CacheServer, serveCache } from './nix-cache-fixture.ts';
import { type Life, live } from './nix-life.ts';
import { type NixNode, nixNode, openNode } from './nix-node-fixture.ts';

const CHILD = new URL('./nix-kill-child.ts', import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), 'billet-nix-kill-'));
let make: Builder;
let cache: CacheServer;
let first: BuiltSystem;
const nodes: NixNode[] = [];

before(async () => {
  make = builder(join(dir, 'build'));
  first = make.build('first');
  make.sign(first.path);
  make.publish(first.path);
  cache = await serveCache(join(dir, 'build/cache'));
});
after(async () => {
  for (const node of nodes) node.end();
  await cache.close();
  rmSync(dir, { recursive: true, force: true });
});

/** One node for each point; a life dies there, and `then` is what the next one has to bring about. */
async function killedEverywhere(
  system: BuiltSystem,
  then: (node: NixNode, life: Life) => Promise<void>,
): Promise<number> {
  const closure = NixClosure.parse({ storePath: system.path, caches: [cache.url] });
  const life: Life = { closure, keys: [{ key: make.key, systems: true }] };
  for (let nth = 0; ; nth++) {
    const root = join(dir, `node-${nodes.length}`);
    const node = nixNode(root, join(make.dir, 'store'), first.path);
    nodes.push(node);
    const argv = [CHILD, root, JSON.stringify(life), `${nth}`];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'pipe'] });
    const [, signal] = await once(child, 'exit');
    // What ran before stays in force, or the wanted one: never half of either.
    assert.ok(['nixos-system-first', system.path.slice(44)].includes(node.running()), `${nth}`);
    await then(openNode(root), life);
    node.end();
    if (signal === null) return nth;
  }
}

test('killed anywhere, the next life ends the activation that was begun', async (t) => {
  // It takes a while: the agent dies in the middle of it, too.
  const second = make.build('second', `sleep 0.1; ${WORKS}`);
  make.sign(second.path);
  make.publish(second.path);
  const kills = await killedEverywhere(second, async (node, life) => {
    await live(node, life);
    assert.equal(node.running(), 'nixos-system-second');
    assert.equal(node.profile(), 'nixos-system-second');
    const seen = await (await node.live(life)).observe(null);
    assert.equal(seen?.unfinished, null);
    assert.equal(seen?.lastGood, first.path);
  });
  t.diagnostic(`${kills} kills`);
  assert.ok(kills > 12, `${kills}`);
});

test('killed anywhere on the way back, the system from before is active again', async (t) => {
  const bad = make.build('bad', FAILS);
  make.sign(bad.path);
  make.publish(bad.path);
  const kills = await killedEverywhere(bad, async (node, life) => {
    const failure = await live(node, life).catch((error: unknown) => error);
    assert.ok(failure instanceof BilletError && failure.code === 'NIX_ACTIVATION_FAILED');
    assert.equal(node.running(), 'nixos-system-first');
    assert.equal(node.profile(), 'nixos-system-first');
    assert.equal((await (await node.live(life)).observe(null))?.unfinished, null);
  });
  t.diagnostic(`${kills} kills`);
  assert.ok(kills > 14, `${kills}`);
});

test('without the record, half an activation is taken for a whole one', async () => {
  const bad = make.build('worse', FAILS);
  make.sign(bad.path);
  make.publish(bad.path);
  const closure = NixClosure.parse({ storePath: bad.path, caches: [cache.url] });
  const life: Life = { closure, keys: [{ key: make.key, systems: true }] };
  const diesGoingBack = async () => {
    const node = nixNode(join(dir, `node-${nodes.length}`), join(make.dir, 'store'), first.path);
    nodes.push(node);
    let profiles = 0;
    const before = async (what: string) => {
      if (what.includes('--set') && ++profiles === 2) throw new Error('dies');
    };
    await assert.rejects(live(node, { ...life, before }), /dies/);
    assert.equal(node.running(), 'nixos-system-worse');
    return node;
  };
  const kept = await diesGoingBack();
  await assert.rejects(live(kept, life), { code: 'NIX_ACTIVATION_FAILED' });
  assert.equal(kept.running(), 'nixos-system-first');
  const lost = await diesGoingBack();
  rmSync(join(lost.root, 'state/nix.json'));
  await live(lost, life);
  assert.equal(lost.running(), 'nixos-system-worse');
});
