// Agent and coordinator together, over real TLS on loopback: enrollment, the channel, desired state,
// verdicts, tasks, and a coordinator that goes away. The node is a directory; no machine is started.

import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { askPlan, askStatus } from '../../agent/ask.ts';
import { ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { loadKey } from '../../agent/identity/key.ts';
import { fetchPinnedCa } from '../../agent/link/pin.ts';
import { testModule } from '../../agent/reconcile/testing.ts';
import { systemClock } from '../../shared/clock.ts';
import { sha256 } from '../../shared/digest.ts';
import { routes } from '../../shared/routes/table.ts';
import { type InstanceId, NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { bodyOf, FACTS, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import {
  type AgentFixture,
  eventually,
  identityOf,
  removeDir,
  restartCoordinator,
  startAgent,
} from './agent-fixture.ts';

let fixture: Fixture;
const agents: AgentFixture[] = [];
const never = new AbortController().signal;

before(async () => {
  fixture = await startFixture({ heartbeatSeconds: 1 });
});
after(async () => {
  for (const { dir, stop } of agents) {
    await stop();
    await removeDir(dir);
  }
  await fixture.close();
});

async function agentOf(...args: Parameters<typeof startAgent>): Promise<AgentFixture> {
  const agent = await startAgent(...args);
  agents.push(agent);
  return agent;
}

const show = async (id: InstanceId) =>
  bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));

const setSpec = (name: string, spec: object) =>
  fixture.admin.call(routes.putNodeSpec, {
    params: { name: NodeName.parse(name) },
    body: NodeSpec.parse(spec),
  });

test('another CA than the pinned one is refused before anything is sent', async () => {
  const instance = await fixture.instance('pin-1');
  const identity = { ...(await identityOf(fixture, instance)), ca: sha256('another') };
  await assert.rejects(fetchPinnedCa(identity, never), { code: 'CA_PIN_MISMATCH' });
  const right = await fetchPinnedCa({ ...identity, ca: fixture.coordinator.caFingerprint }, never);
  assert.equal(right.trim(), fixture.ca.trim());
  assert.equal((await show(instance)).facts, null);
});

test('nobody at the address is LINK_DOWN, with a hint', async () => {
  const identity = { coordinator: 'https://127.0.0.1:1', ca: fixture.coordinator.caFingerprint };
  await assert.rejects(fetchPinnedCa(identity, never), { code: 'LINK_DOWN', hint: /coordinator/ });
});

test('the key is on disk before the token is sent, and a surviving certificate is used', async () => {
  const instance = await fixture.instance('enroll-agent');
  const dir = join(fixture.stateDir, 'agent-1');
  const identity = await identityOf(fixture, instance);
  const request = { identity, facts: FACTS, dir, clock: systemClock };
  // The first attempt reaches nobody; what it leaves is the key that the second one uses.
  const away = { ...identity, coordinator: 'https://127.0.0.1:1' };
  await assert.rejects(ensureEnrolled({ ...request, identity: away }, never), {
    code: 'LINK_DOWN',
  });
  const key = await loadKey(dir);
  assert.ok(key);
  assert.equal((await stat(join(dir, 'key.pem'))).mode & 0o777, 0o600);

  const first = await ensureEnrolled(request, never);
  assert.equal(first.how, 'enrolled');
  assert.equal(first.key.pem, key.pem);
  const again = await ensureEnrolled(request, never);
  assert.equal(again.how, 'survived');
  assert.equal(again.credentials.certificate, first.credentials.certificate);
  const text = await readFile(join(dir, 'enrollment.json'), 'utf8');
  assert.ok(identity.token && !text.includes(identity.token));
});

test('a node comes up, follows its spec, and goes back from what fails', async () => {
  const web = testModule('web');
  const broken = testModule('web', {
    files: 'broken',
    sequence: 2,
    services: [{ name: 'main', exec: ['/bin/FAIL'] }],
  });
  const instance = await fixture.instance('follow-1', { modules: [web.ref] });
  const agent = await agentOf(fixture, instance, { modules: [web, broken] });

  const up = await eventually(
    () => show(instance),
    ({ confirmed }) => confirmed === 1,
  );
  assert.equal(up.state, 'running');
  assert.equal(up.connected, true);
  assert.equal(up.heartbeat?.phase, 'ready');
  assert.deepEqual(
    up.heartbeat?.modules?.map(({ name, state }) => [name, state]),
    [['web', 'attached']],
  );
  const good = await eventually(
    () => show(instance),
    (shown) => shown.heartbeat?.verdicts?.some(({ verdict }) => verdict === 'good') === true,
  );
  assert.equal(good.heartbeat?.generation, 1);

  await setSpec('follow-1', { modules: [broken.ref] });
  const back = await eventually(
    () => show(instance),
    ({ rejected }) => rejected.length === 1,
  );
  assert.equal(back.rejected[0]?.generation, 2);
  const running = await eventually(
    () => show(instance),
    ({ heartbeat }) =>
      heartbeat?.phase === 'ready' && heartbeat.modules?.[0]?.manifest === web.ref.manifest,
  );
  assert.equal(running.heartbeat?.generation, 1);

  const status = await askStatus(agent.runDir, false);
  assert.match(status, /phase +ready\ngeneration +1\n/);
  assert.match(status, /module +web 1\.0\.1 attached/);
  await eventually(
    () => askPlan(agent.runDir, false),
    (text) => text === 'nothing to do\n',
  );
  await agent.stop();
  assert.equal((await show(instance)).heartbeat?.phase, 'stopping');
  assert.ok(agent.lines.some((line) => line.startsWith('BILLET_MARKER attached module=web')));
  assert.ok(agent.lines.some((line) => line.startsWith('BILLET_MARKER ready generation=1')));
});

test('tasks are leased, run and reported; a reboot is reported by the next boot', async () => {
  const instance = await fixture.instance('tasks-1');
  const commands: string[] = [];
  const exec = async (argv: readonly string[]) => {
    commands.push(argv.join(' '));
    return { code: 0, stdout: 'a line\n', stderr: '' };
  };
  const agent = await agentOf(fixture, instance, { modules: [], exec });
  const create = async (spec: object) =>
    bodyOf(
      await fixture.admin.call(routes.createTask, {
        body: { instance, spec: routes.createTask.body.shape.spec.parse(spec) },
      }),
    );
  const taskIs = async (id: string, state: string) =>
    await eventually(
      async () => bodyOf(await fixture.admin.call(routes.getTask, { params: { id } })),
      (task) => task.state === state,
    );

  const logs = await taskIs((await create({ kind: 'collect-logs', lines: 5 })).id, 'succeeded');
  assert.equal(logs.result?.output, 'a line\n');
  assert.match(commands[0] ?? '', /^journalctl --boot .*--lines=5$/);

  const probe = { kind: 'http', name: 'x', url: 'http://127.0.0.1:1/', timeoutSeconds: 1 };
  const failed = await taskIs((await create({ kind: 'run-probe', probe })).id, 'failed');
  assert.equal(failed.result?.code, 'PROBE_FAILED');

  const reboot = await create({ kind: 'reboot' });
  await eventually<string[]>(
    () => commands,
    (all) => all.some((each) => / reboot$/.test(each)),
  );
  assert.equal((await taskIs(reboot.id, 'leased')).result, null);
  await agent.stop();
  const next = await agentOf(fixture, instance, {
    modules: [],
    dir: agent.dir,
    bootId: '44444444-4444-4444-8444-444444444444',
  });
  await taskIs(reboot.id, 'succeeded');
  await next.stop();
});

test('a coordinator that stops and starts again is found again, with the same certificate', async () => {
  const web = testModule('web');
  const instance = await fixture.instance('outage-1', { modules: [web.ref] });
  const agent = await agentOf(fixture, instance, { modules: [web] });
  await eventually(
    () => show(instance),
    ({ connected, confirmed }) => connected && confirmed === 1,
  );
  await restartCoordinator(fixture, 1);
  const found = await eventually(
    () => show(instance),
    ({ connected }) => connected,
  );
  assert.equal(found.heartbeat?.phase, 'ready');
  await agent.stop();
});

test('a certificate that ran out is renewed by its key; after 90 days only a token helps', async () => {
  const instance = await fixture.instance('renew-1');
  const dir = join(fixture.stateDir, 'agent-2');
  const { clock } = fixture;
  const identity = await identityOf(fixture, instance);
  const { token: _, ...tokenless } = identity;
  const ensure = (as: typeof identity) =>
    ensureEnrolled({ identity: as, facts: FACTS, dir, clock }, never);
  const first = await ensure(identity);
  clock.advance(31 * DAY_MS);
  const renewed = await ensure(tokenless);
  assert.equal(renewed.how, 'renewed');
  assert.equal(renewed.key.pem, first.key.pem);
  assert.equal((await ensure(tokenless)).how, 'survived');
  clock.advance(121 * DAY_MS);
  await assert.rejects(ensure(tokenless), { code: 'CERTIFICATE_EXPIRED' });
  assert.equal((await ensure(await identityOf(fixture, instance))).how, 'enrolled');
});

const DAY_MS = 86_400_000;
