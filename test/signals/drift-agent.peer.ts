// Drift of a real agent, seen and mended through a real coordinator: its service cannot be brought up for
// as long as the node is broken, the coordinator tells of it and orders what policy allows.

import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { testModule } from '../../agent/reconcile/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import type { Signal, SignalTopic } from '../../shared/schema/signal.ts';
import { type AgentFixture, eventually, removeDir, startAgent } from '../agent/agent-fixture.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

const MINUTE_MS = 60_000;
let fixture: Fixture;
/** One connection for all that is asked again and again. */
let admin: Fixture['admin'];
const agents: AgentFixture[] = [];

before(async () => {
  fixture = await startFixture({
    heartbeatSeconds: 1,
    signals: { everySeconds: 1, driftAfterSeconds: 1, silentAfterSeconds: 300 },
  });
  admin = fixture.admin;
});

after(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  await fixture.close();
  await Promise.all(agents.map(({ dir }) => removeDir(dir)));
});

async function signalOf(id: InstanceId, topic: SignalTopic): Promise<Signal | null> {
  const query = { instance: id, topic, state: 'all' } as const;
  const { items } = bodyOf(await admin.call(routes.listSignals, { query }));
  return items[0] ?? null;
}

const instanceOf = async (id: InstanceId) =>
  bodyOf(await admin.call(routes.getInstance, { params: { id } }));

async function agentOf(name: string, ...modules: ReturnType<typeof testModule>[]) {
  const instance = await fixture.instance(name, {
    modules: modules.slice(0, 1).map(({ ref }) => ref),
  });
  const agent = await startAgent(fixture, instance, { modules });
  agents.push(agent);
  await eventually(
    () => instanceOf(instance),
    ({ state, confirmed }) => state === 'running' && confirmed === 1,
  );
  return { instance, agent };
}

/** The node loses the place where its units are kept: no service can be stopped or started. */
function breakNode({ dir }: AgentFixture): () => void {
  const path = join(dir, 'unit-states');
  rmSync(path, { recursive: true });
  writeFileSync(path, 'broken');
  return () => {
    rmSync(path);
    mkdirSync(path);
  };
}

const lookAgain = async (instance: InstanceId) => {
  const spec = { kind: 'reconcile', restart: [] } as const;
  const body = { instance, spec: routes.createTask.body.shape.spec.parse(spec), attemptsMax: 1 };
  return bodyOf(await admin.call(routes.createTask, { body })).id;
};

test('a service that is down is told of, ordered back, and resolved when it is seen to run', async () => {
  const { instance, agent } = await agentOf('broken-1', testModule('web'));
  const mend = breakNode(agent);
  const id = await lookAgain(instance);
  const task = await eventually(
    async () => bodyOf(await admin.call(routes.getTask, { params: { id } })),
    ({ state }) => state === 'failed',
  );
  assert.ok(task.result?.code, 'the pass failed, and says with what');

  const open = await eventually(
    () => signalOf(instance, 'drift'),
    (signal) =>
      signal?.state === 'open' && signal.remedy.taken === 1 && signal.remedy.state === 'due',
  );
  assert.equal(open?.kind, 'module.drift_detected');
  assert.deepEqual(
    [open?.drift?.attach.map(({ module }) => module), open?.drift?.detach, open?.drift?.update],
    [['web'], [], []],
  );
  assert.ok(open?.cause.startsWith(`${task.result?.code}: `), open?.cause);
  assert.notEqual(open?.hint, '');

  mend();
  // What the pause before the next order leaves the agent time for.
  fixture.clock.advance(3 * MINUTE_MS);
  const resolved = await eventually(
    () => signalOf(instance, 'drift'),
    (signal) => signal?.state === 'resolved',
  );
  assert.equal(resolved?.remedy.taken, 2);
  assert.equal(resolved?.resolution, 'what runs is what is wanted');
  const { heartbeat } = await instanceOf(instance);
  assert.deepEqual(
    heartbeat?.modules?.map(({ name, state }) => [name, state]),
    [['web', 'attached']],
  );
  assert.ok(agent.lines.some((line) => line.startsWith('BILLET_MARKER detached module=web')));
});

test('a version that its node rejects is drift with the reason, and nothing is ordered', async () => {
  const web = testModule('web');
  const services = [{ name: 'main', exec: ['/bin/FAIL'] }];
  const broken = testModule('web', { files: 'broken', sequence: 2, services });
  const { instance } = await agentOf('rejects-1', web, broken);
  const setModules = (modules: object[]) =>
    admin.call(routes.putNodeSpec, {
      params: { name: NodeName.parse('rejects-1') },
      body: NodeSpec.parse({ modules }),
    });
  await setModules([broken.ref]);
  const open = await eventually(
    () => signalOf(instance, 'drift'),
    (signal) => signal?.drift?.update.length === 1 && /rejected/.test(signal.cause),
  );
  assert.match(open?.cause ?? '', /^generation 2 was rejected: /);
  assert.deepEqual([open?.remedy.steps, open?.remedy.state], [[], 'none']);
  await setModules([web.ref]);
  await eventually(
    () => signalOf(instance, 'drift'),
    (signal) => signal?.state === 'resolved',
  );
});
