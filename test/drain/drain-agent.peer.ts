// `billet instance drain` over a real coordinator and real agents: services stop in order, stay stopped
// through the end and the next life of the agent, and run again once the drain is taken back.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { testModule } from '../../agent/reconcile/testing.ts';
import { billet } from '../../cli/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import { type AgentFixture, eventually, removeDir, startAgent } from '../agent/agent-fixture.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

const db = testModule('db', { persistent: ['/var/lib/db'] });
const web = testModule('web', { requires: ['db'] });
const modules = [db, web];

let fixture: Fixture;
let admin: Fixture['admin'];
const dirs: string[] = [];
const agents: AgentFixture[] = [];
before(async () => {
  fixture = await startFixture({ heartbeatSeconds: 1 });
  admin = fixture.admin;
});
after(async () => {
  // Also where a test has failed.
  await Promise.all(agents.map((agent) => agent.stop()));
  await fixture.close();
  await Promise.all(dirs.map(removeDir));
});

const run = (...args: string[]) =>
  billet(args, { env: { BILLET_CONTEXT: fixture.coordinator.adminContextPath } });

async function works(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(...args);
  assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
  return stdout;
}

const show = async (id: InstanceId) =>
  bodyOf(await admin.call(routes.getInstance, { params: { id } }));
const runs = async (id: InstanceId) =>
  eventually(
    () => show(id),
    ({ state, heartbeat }) =>
      state === 'running' && heartbeat?.modules?.every((one) => one.state === 'attached') === true,
  );
const log = ({ dir }: AgentFixture) => readFileSync(join(dir, 'world.log'), 'utf8').split('\n');
const isActive = ({ dir }: AgentFixture, name: string) =>
  existsSync(join(dir, 'unit-states', `billet-${name}-main.service`));

async function started(name: string): Promise<{ id: InstanceId; agent: AgentFixture }> {
  const id = await fixture.instance(name, { modules: modules.map(({ ref }) => ref) });
  const agent = await startAgent(fixture, id, { modules });
  dirs.push(agent.dir);
  agents.push(agent);
  await runs(id);
  return { id, agent };
}

test('services stop in order, stay so in the next life of the agent, and come back', async () => {
  const { id, agent } = await started('web-1');
  const refused = await run('instance', 'terminate', 'web-1');
  assert.equal(refused.code, 1, refused.stdout);
  assert.match(
    refused.stderr,
    /the service web, without its stop.*the data of db in \/var\/lib\/db/s,
  );
  assert.match(refused.stderr, /code: DRAIN_REQUIRED/);

  const drained = await works('instance', 'drain', 'web-1', '--timeout-seconds', '60', '--wait');
  assert.match(drained, /services stop: web, db/);
  const stops = log(agent).filter((line) => line.startsWith('stop '));
  assert.deepEqual(stops, ['stop billet-web-main.service', 'stop billet-db-main.service']);
  assert.equal((await show(id)).drained, true);
  await eventually(
    () => show(id),
    ({ heartbeat }) => heartbeat?.conditions.some(({ code }) => code === 'DRAINED') === true,
  );
  assert.match(await works('instance', 'show', 'web-1'), /drain +drained \(60 s\), by admin:/);

  await agent.stop();
  const next = await startAgent(fixture, id, { modules, dir: agent.dir });
  agents.push(next);
  await eventually(
    () => show(id),
    ({ connected }) => connected,
  );
  // A node that shows no service as failed, runs none, and is still what was drained.
  const held = await show(id);
  assert.deepEqual([held.drained, held.heartbeat?.modules], [true, []]);
  assert.deepEqual([isActive(next, 'web'), isActive(next, 'db')], [false, false]);

  await works('instance', 'uncordon', 'web-1', '--wait');
  const back = await runs(id);
  assert.deepEqual([back.drain, back.drained], [null, false]);
  assert.equal(isActive(next, 'web') && isActive(next, 'db'), true);
  await next.stop();
});

test('a cordon lets run what runs, and a new generation waits', async () => {
  const { id, agent } = await started('web-2');
  await works('instance', 'drain', 'web-2', '--cordon-only', '--wait');
  const web2 = testModule('web', { requires: ['db'], files: 'web 2', sequence: 2 });
  const { spec } = bodyOf(
    await admin.call(routes.getNode, { params: { name: (await show(id)).node } }),
  );
  const body = { ...spec, modules: [db.ref, web2.ref] };
  await admin.call(routes.putNodeSpec, { params: { name: (await show(id)).node }, body });
  const seen = await eventually(
    () => show(id),
    ({ heartbeat }) => heartbeat?.conditions.some(({ code }) => code === 'CORDONED') === true,
  );
  assert.deepEqual([seen.state, seen.confirmed], ['running', 1]);
  assert.ok(isActive(agent, 'web'));
  await agent.stop();
  // Nobody is there to take this one up.
  assert.match(await works('instance', 'drain', 'web-2'), /is draining\ndrain +waiting/);
  assert.match(await works('instance', 'drain', 'web-2', '--cancel'), /drain +cancelled/);
  const ended = await run('instance', 'drain', 'web-1', '--cancel');
  assert.match(ended.stderr, /is not being drained\nhint: .+\ncode: CONFLICT/s);
});

test('a drained instance ends, and its node keeps its history', async () => {
  const { id, agent } = await started('web-3');
  await works('instance', 'drain', 'web-3', '--wait');
  assert.match(await works('instance', 'terminate', 'web-3'), /is terminated/);
  const history = await works('node', 'history', 'web-3', '--events');
  assert.match(history, new RegExp(`${id} +terminated`));
  assert.match(history, /instance\.drained/);
  await eventually(
    () => show(id),
    ({ cameBack }) => cameBack !== null,
  );
  assert.match(await works('instance', 'show', id), /came back +after its end/);
  await agent.stop();
});
