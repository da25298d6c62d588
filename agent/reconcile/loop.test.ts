import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import { desiredOf, type TestModule, testModule } from './testing.ts';
import { type TestAgent, type TestAgentOptions, testAgent } from './testing-loop.ts';

const never = new AbortController().signal;
let dir: string;
const open: TestAgent[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-loop-'));
});
afterEach(async () => {
  for (const agent of open.splice(0)) await agent.close();
  await rm(dir, { recursive: true });
});

async function start(
  modules: readonly TestModule[],
  desired: Desired,
  options: Partial<TestAgentOptions> = {},
): Promise<TestAgent> {
  const agent = await testAgent({ dir, modules, desired, ...options });
  open.push(agent);
  return agent;
}

const web = testModule('web');
const web2 = testModule('web', { files: 'web 2', sequence: 2 });
const bad = testModule('web', {
  files: 'bad',
  sequence: 3,
  services: [{ name: 'main', exec: ['/FAIL'] }],
});
const running = ({ loop }: TestAgent) =>
  loop.status.modules.map(({ version, state }) => `${version} ${state}`);

/** One good generation with `web`. */
async function onGood(modules: readonly TestModule[]): Promise<TestAgent> {
  const agent = await start(modules, desiredOf(1, [web]));
  await agent.loop.once(never);
  agent.confirmed = 1;
  await agent.loop.once(never);
  assert.equal(agent.state.record.good?.generation, 1);
  return agent;
}

test('a generation is unconfirmed until the coordinator has seen it, and then good, with its floors', async () => {
  const agent = await start([web], desiredOf(1, [web]));
  await agent.loop.once(never);
  assert.equal(agent.loop.status.phase, 'ready');
  assert.deepEqual(
    agent.loop.status.verdicts.map(({ verdict }) => verdict),
    ['unconfirmed'],
  );
  assert.equal(agent.state.record.good, null);
  agent.confirmed = 1;
  await agent.loop.once(never);
  assert.deepEqual(
    agent.loop.status.verdicts.map(({ verdict }) => verdict),
    ['good'],
  );
  assert.deepEqual(agent.state.record.floors, { web: 1 });
});

test('a unit that fails brings the last good generation back, and is not tried again', async () => {
  const agent = await onGood([web, bad]);
  agent.desired = desiredOf(2, [bad]);
  await agent.loop.once(never);
  assert.deepEqual(
    agent.state.record.rejected.map(({ generation }) => generation),
    [2],
  );
  assert.deepEqual(
    agent.loop.status.verdicts.map(({ verdict }) => verdict),
    ['rejected'],
  );
  await agent.loop.once(never);
  assert.deepEqual(running(agent), ['1.0.1 attached']);
  assert.equal(agent.loop.status.generation, 1);
  agent.done.length = 0;
  await agent.loop.once(never);
  assert.ok(!agent.done.includes('attach-service'));
});

test('a failed probe brings it back, too; a later generation is tried', async () => {
  const agent = await onGood([web, web2]);
  agent.failing.add('web');
  agent.desired = desiredOf(2, [web2]);
  await agent.loop.once(never);
  agent.failing.clear();
  await agent.loop.once(never);
  assert.deepEqual(running(agent), ['1.0.1 attached']);
  agent.desired = desiredOf(3, [web2]);
  await agent.loop.once(never);
  assert.deepEqual(running(agent), ['1.0.2 attached']);
  assert.equal(agent.loop.status.generation, 3);
});

test('the first generation has nothing to go back to: it is tried again', async () => {
  const agent = await start([bad], desiredOf(1, [bad]));
  await agent.loop.once(never);
  assert.equal(agent.loop.status.phase, 'bootstrapping');
  assert.deepEqual(agent.state.record.rejected, []);
  assert.equal(agent.loop.status.lastReconcile?.code, 'UNIT_FAILED');
  agent.done.length = 0;
  await agent.loop.once(never);
  assert.equal(agent.loop.status.lastReconcile?.code, 'UNIT_FAILED');
});

test('what cannot be pulled stops nothing and rejects nothing', async () => {
  let broken = false;
  const before = async (what: string) => {
    if (broken && what.startsWith('pull'))
      throw new BilletError('SIGNATURE_MISSING', 'nobody signed it', { hint: 'sign it' });
  };
  const agent = await start([web, web2], desiredOf(1, [web]), { before });
  await agent.loop.once(never);
  broken = true;
  agent.desired = desiredOf(2, [web2]);
  await agent.loop.once(never);
  const { status } = agent.loop;
  assert.deepEqual([status.phase, status.generation], ['degraded', 1]);
  assert.deepEqual(running(agent), ['1.0.1 attached']);
  assert.deepEqual(
    status.conditions.map(({ code }) => code),
    ['SIGNATURE_MISSING'],
  );
  assert.deepEqual(agent.state.record.rejected, []);
});

test('a service that died is started again, and a good generation is not given up for it', async () => {
  const agent = await onGood([web]);
  await rm(join(dir, 'unit-states', 'billet-web-main.service'));
  await agent.loop.once(never);
  assert.deepEqual(running(agent), ['1.0.1 attached']);
  assert.equal(agent.done.at(-1), 'reattach-service');
});

test('other system modules are staged, shown, and judged only once they have booted', async () => {
  const base = testModule('base', { kind: 'system' });
  const base2 = testModule('base', { kind: 'system', sequence: 2 });
  const systemImage = sha256('booted');
  const booted = { systemImage, bootImage: null, manifests: [base.ref.manifest] };
  const agent = await start([base, base2], desiredOf(2, [base2], { hostname: 'web-1' }), {
    booted,
  });
  agent.confirmed = 2;
  await agent.loop.once(never);
  const { status } = agent.loop;
  assert.equal(status.staged, 2);
  assert.deepEqual(
    status.conditions.map(({ code }) => code),
    ['REBOOT_PENDING'],
  );
  assert.deepEqual([status.phase, status.verdicts], ['ready', []]);
  assert.equal(agent.state.record.good, null);
  agent.desired = desiredOf(3, [base], { hostname: 'web-1' });
  await agent.loop.once(never);
  assert.deepEqual([agent.loop.status.staged, agent.loop.status.conditions], [null, []]);
});

test('generations that the coordinator rejects are not run; another history starts anew but keeps floors', async () => {
  const agent = await onGood([web, web2]);
  agent.desired = desiredOf(2, [web2]);
  agent.rejected = [2];
  await agent.loop.once(never);
  assert.deepEqual(running(agent), ['1.0.1 attached']);
  agent.rejected = [];
  agent.confirmed = null;
  agent.desired = { ...desiredOf(1, [web2]), history: 'h2' };
  await agent.loop.once(never);
  assert.deepEqual(running(agent), ['1.0.2 attached']);
  assert.deepEqual([agent.state.record.history, agent.state.record.floors], ['h2', { web: 1 }]);
});

test('nothing is written when nothing changes', async () => {
  const agent = await onGood([web]);
  await agent.loop.once(never);
  const before = await fingerprint(dir);
  for (let round = 0; round < 3; round++) await agent.loop.once(never);
  assert.deepEqual(await fingerprint(dir), before);
});

test('two modules that share a unit name, and a root without mount points, are refused', async () => {
  const one = testModule('a', { services: [{ name: 'b-c', exec: ['/x'] }] });
  const other = testModule('a-b', { services: [{ name: 'c', exec: ['/x'] }] });
  const agent = await start([one, other], desiredOf(1, [one, other]));
  await agent.loop.once(never);
  const { lastReconcile } = agent.loop.status;
  assert.deepEqual(lastReconcile?.code, 'MODULE_INVALID');
  assert.match(lastReconcile?.message ?? '', /billet-a-b-c\.service/);
});

test('settings have to fit the schema that the module declares', async () => {
  const settingsSchema = {
    type: 'object',
    properties: { port: { type: 'integer' } },
    additionalProperties: false,
  };
  const strict = testModule('web', { settingsSchema });
  const settings = (port: unknown) =>
    ({ modules: { [strict.ref.name]: { port } } }) as Desired['settings'];
  const agent = await start([strict], desiredOf(1, [strict], settings('x')));
  await agent.loop.once(never);
  assert.equal(agent.loop.status.lastReconcile?.code, 'CONFIG_INVALID');
  agent.desired = desiredOf(2, [strict], settings(81));
  await agent.loop.once(never);
  assert.deepEqual(running(agent), ['1.0.1 attached']);
  assert.equal(await readFile(join(dir, 'run/settings/web.json'), 'utf8'), '{"port":81}\n');
});

async function fingerprint(root: string): Promise<string[]> {
  const names = await readdir(root, { recursive: true });
  const lines = names.sort().map(async (name) => {
    const { mtimeMs, size, ino } = await stat(join(root, name));
    return `${name} ${mtimeMs} ${size} ${ino}`;
  });
  return await Promise.all(lines);
}
