// With nothing to do the agent does nothing: an hour of cycles on a simulated clock makes no change to
// any file, asks systemd once a cycle, and tells nobody what they know.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { Units } from '../../agent/drivers/units.ts';
import { storeModules } from '../../agent/reconcile/store-modules.ts';
import { desiredOf, testModule } from '../../agent/reconcile/testing.ts';
import { type TestAgent, testAgent } from '../../agent/reconcile/testing-loop.ts';
import { pulse } from '../../agent/report/pulse.ts';
import type { Store } from '../../agent/store/store.ts';
import { generateKeyPair } from '../../shared/artifact/signature/keys.ts';
import type { Clock } from '../../shared/clock.ts';
import { TrustPolicy } from '../../shared/schema/trust-policy.ts';
import { heartbeatOf } from '../coordinator/coordinator-fixture.ts';
import { type Change, watchDisk } from './agent-disk.ts';
import { worldLog } from './agent-lives.ts';

const CYCLES = 120;
const PEM = generateKeyPair('ed25519').publicPem;
const never = new AbortController().signal;
const web = testModule('web');
const dns = testModule('dns');
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-idle-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function settled(): Promise<TestAgent & { published: number }> {
  const counted = { published: 0 };
  const agent = await testAgent({
    ...{ dir, modules: [web, dns], desired: desiredOf(1, [web, dns]) },
    onStatus: () => {
      counted.published += 1;
    },
  });
  agent.confirmed = 1;
  for (let cycle = 0; cycle < 4; cycle += 1) await agent.loop.once(never);
  return Object.assign(agent, counted, {
    get published() {
      return counted.published;
    },
  });
}

test('an hour of cycles without anything to do changes no file, and publishes nothing', async () => {
  const agent = await settled();
  const changes: Change[] = [];
  const unwatch = watchDisk(dir, async (change, act) => {
    changes.push(change);
    return await act();
  });
  const [log, published] = [worldLog(dir).length, agent.published];
  agent.done.length = 0;
  for (let cycle = 0; cycle < CYCLES; cycle += 1) await agent.loop.once(never);
  await unwatch();
  assert.deepEqual(changes, []);
  assert.deepEqual(agent.done, []);
  assert.equal(worldLog(dir).length, log);
  assert.equal(agent.published, published);
  await agent.close();
});

test('systemd is asked once a cycle, whatever the number of services', async () => {
  const agent = await settled();
  let asked = 0;
  const { states } = agent.node.units;
  const counting: Units['states'] = (names, signal) => {
    asked += 1;
    return states(names, signal);
  };
  Object.assign(agent.services.units, { states: counting });
  for (let cycle = 0; cycle < CYCLES; cycle += 1) await agent.loop.once(never);
  assert.equal(asked, CYCLES);
  await agent.close();
});

test('a module that was verified in this life is not read again', async () => {
  let loads = 0;
  const store = {
    conditions: [],
    holdsModule: async () => {
      loads += 1;
      const { ref, label } = web;
      return { ref, label, image: ref.image, findings: [] };
    },
    modules: async () => [web.ref.manifest],
  } as unknown as Store;
  const modules = storeModules({
    ...{ store, floors: () => ({}), exempt: () => new Set(), booted: new Set() },
    policy: TrustPolicy.parse({ format: 1, rules: [{ modules: ['*'], keys: [PEM] }] }),
    sourceOf: () => assert.fail('nothing is fetched'),
  });
  for (let cycle = 0; cycle < CYCLES; cycle += 1) {
    assert.deepEqual(await modules.held([web.ref], never), [web.ref.manifest]);
    await modules.label(web.ref, never);
  }
  assert.equal(loads, 1);
});

test('heartbeats are two a minute, within a tenth', async () => {
  let now = 0;
  let beats = 0;
  const stop = new AbortController();
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(ms, signal) {
      now += ms;
      if (now > 3_600_000) stop.abort();
      signal.throwIfAborted();
    },
  };
  const beating = pulse({
    ...{ clock, random: Math.random, build: async () => heartbeatOf() },
    send: async () => {
      beats += 1;
      return { desired: '', tasks: 0, confirmed: null, intervalSeconds: 30 };
    },
    onReply: () => undefined,
    onError: assert.ifError,
  });
  await assert.rejects(beating.run(stop.signal), { name: 'AbortError' });
  assert.ok(beats >= 109 && beats <= 133, `${beats} an hour`);
});
