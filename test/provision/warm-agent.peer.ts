// A warm instance with a real agent, in this process: it gets ready without a node, is claimed over the
// wire, and takes up what its node should be without another boot. The provider records.

import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { testModule } from '../../agent/reconcile/testing.ts';
import { billet } from '../../cli/testing.ts';
import { systemClock } from '../../shared/clock.ts';
import { routes } from '../../shared/routes/table.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import type { Instance } from '../../shared/schema/records.ts';
import { type AgentFixture, eventually, removeDir, startAgent } from '../agent/agent-fixture.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
let agent: AgentFixture | null = null;
before(async () => {
  const providers = { 'local-qemu': { mode: 'recorder', machinesMax: 4 } } as const;
  fixture = await startFixture({ heartbeatSeconds: 1, providers });
});
after(async () => {
  await agent?.stop();
  if (agent) await removeDir(agent.dir);
  await fixture.close();
});

/** Has to work. */
async function run(...args: readonly string[]): Promise<void> {
  const env = { BILLET_CONTEXT: fixture.coordinator.adminContextPath };
  const { code, stderr } = await billet(args, { env });
  assert.equal(code, 0, stderr);
}

async function publishBootImage(): Promise<void> {
  const folder = join(fixture.stateDir, 'boot-image');
  await mkdir(folder);
  const files = { kernel: 'a kernel', initramfs: 'an initramfs', release: '6.12.0-test\n' };
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  await run('image', 'push', folder, 'boot:1');
  const flags = ['--platform', 'debian', '--boot-image', 'boot:1', '--publish'];
  await run('publication', 'create', 'debian-1', ...flags);
}

const { web, extra } = { web: testModule('web'), extra: testModule('extra') };

async function makePool(warm: number): Promise<void> {
  const { admin } = fixture;
  const make = async (route: unknown, name: string, spec: object) => {
    await admin.call(route as typeof routes.createPool, { body: { name, spec } as never });
  };
  await make(routes.createArchitecture, 'amd64', { machine: 'x86_64', oci: 'amd64' });
  await make(routes.createPlatform, 'debian', { architecture: 'amd64' });
  await publishBootImage();
  await make(routes.createTemplate, 'edge', { platform: 'debian', modules: [web.ref] });
  const type = { provider: 'local-qemu', architecture: 'amd64', shape: {} };
  await make(routes.createInstanceType, 'small', type);
  await make(routes.createClass, 'edge', { template: 'edge', instanceType: 'small' });
  await make(routes.createPool, 'edge', { class: 'edge', warm });
}

const all = async () => bodyOf(await fixture.admin.call(routes.listInstances, {})).items;
const show = async ({ id }: Pick<Instance, 'id'>) =>
  bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));
const modulesOf = ({ heartbeat }: Instance) =>
  (heartbeat?.modules ?? []).map(({ name, state }) => `${name} ${state}`).sort();

test('a warm instance becomes its node within seconds, at the node’s generation and in the same boot', async (t) => {
  await makePool(1);
  const [waiting] = await eventually(all, ([one]) => one?.machine?.state === 'running');
  assert.ok(waiting);
  assert.deepEqual([waiting.pool, waiting.node], ['edge', waiting.id]);
  agent = await startAgent(fixture, waiting.id, { modules: [web, extra] });
  const warm = await eventually(
    () => show(waiting),
    ({ state }) => state === 'running',
  );
  assert.deepEqual([warm.pool, modulesOf(warm)], ['edge', ['web attached']]);

  const name = NodeName.parse('web-1');
  const spec = { pool: 'edge', modules: [extra.ref], settings: { hostname: 'web-1' } };
  await fixture.admin.call(routes.createNode, { body: { name, spec } as never });
  const start = systemClock.monotonic();
  const body = { nodes: [name], fromPool: true };
  const [item] = bodyOf(await fixture.admin.call(routes.provisionInstances, { body })).items;
  assert.deepEqual([item?.instance, item?.fault], [waiting.id, null]);
  assert.notEqual((await show(waiting)).confirmed, warm.confirmed, 'not ready as the node yet');
  const ready = await eventually(
    () => show(waiting),
    ({ state }) => state === 'running',
  );
  const seconds = (systemClock.monotonic() - start) / 1000;
  t.diagnostic(`claimed and ready as the node: ${seconds.toFixed(2)} s`);
  assert.deepEqual([ready.node, ready.pool, ready.lifecycleClass], ['web-1', null, 'persistent']);
  assert.deepEqual(modulesOf(ready), ['extra attached', 'web attached']);
  assert.equal(ready.heartbeat?.generation, ready.generation);
  assert.equal(ready.heartbeat?.bootId, warm.heartbeat?.bootId);
  assert.equal(ready.certificate?.serial, warm.certificate?.serial, 'its own identity, all along');
  assert.deepEqual(
    agent.lines.filter((line) => line.includes('detached')),
    [],
    'what it served goes on',
  );
  const left = await eventually(all, (items) => items.length === 2);
  assert.equal(left.filter(({ pool }) => pool === 'edge').length, 1, 'the pool is filled again');
});
