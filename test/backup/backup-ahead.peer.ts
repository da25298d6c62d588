// A coordinator that was restored from a backup, and real agents that are newer than it: they keep what
// they have, and wait to be accepted. The mutation: without the records of who may be newer, a
// number that is given again is taken for a new wish.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { testModule } from '../../agent/reconcile/testing.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { routes } from '../../shared/routes/table.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import type { Instance } from '../../shared/schema/records.ts';
import { type AgentFixture, eventually, removeDir, startAgent } from '../agent/agent-fixture.ts';
import { bodyOf, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import { restoreOver, setModules, takeBackup } from './backup-fixture.ts';

const [one, two, three] = [1, 2, 3].map((sequence) =>
  testModule('web', { version: `1.0.${sequence}`, sequence }),
) as [ReturnType<typeof testModule>, ReturnType<typeof testModule>, ReturnType<typeof testModule>];
const all = { modules: [one, two, three] };

let fixture: Fixture;
let agents: AgentFixture[] = [];
beforeEach(async () => {
  fixture = await startFixture({ heartbeatSeconds: 1 });
});
afterEach(async () => {
  for (const { dir, stop } of agents) {
    await stop();
    await removeDir(dir);
  }
  agents = [];
  await fixture.close();
});

const show = async (id: InstanceId) =>
  bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));
const runs = (version: string, generation: number) => (shown: Instance) =>
  shown.connected &&
  shown.heartbeat?.phase === 'ready' &&
  shown.heartbeat.generation === generation &&
  shown.heartbeat.modules?.[0]?.version === version;
const status = async () => bodyOf(await fixture.admin.call(routes.getStatus, {}));

async function kinds(id: InstanceId): Promise<string[]> {
  const response = await fixture.admin.open(routes.watchEvents, {
    query: { subject: `instance/${id}` },
  });
  const text = Buffer.concat(await Array.fromAsync(response.body)).toString('utf8');
  return [...text.matchAll(/"kind":"([^"]+)"/g)].map(([, kind]) => kind ?? '');
}

/** A node that runs generation 1 at the backup, and generation 2 since. */
async function aheadNode() {
  const id = await fixture.instance('ahead-1', { modules: [one.ref] });
  const agent = await startAgent(fixture, id, all);
  agents.push(agent);
  await eventually(() => show(id), runs('1.0.1', 1));
  await eventually(
    () => show(id),
    ({ confirmed }) => confirmed === 1,
  );
  const backup = await takeBackup(fixture);
  await setModules(fixture, 'ahead-1', [two.ref]);
  await eventually(() => show(id), runs('1.0.2', 2));
  return { id, backup, agent };
}

test('a node that is newer than the backup keeps what it has until an operator accepts', async () => {
  const { id, backup } = await aheadNode();
  const before = await status();
  const restored = await restoreOver(fixture, backup);
  assert.deepEqual([restored.instances, restored.tokens], [1, 0]);
  const after = await status();
  assert.equal(after.history, restored.history);
  assert.notEqual(after.history, before.history);

  const ahead = await eventually(
    () => show(id),
    (shown) => shown.ahead !== null && shown.connected,
  );
  assert.equal(ahead.ahead?.generation, 2);
  assert.equal(ahead.ahead?.condition.code, 'INSTANCE_AHEAD');
  assert.match(ahead.ahead?.condition.hint ?? '', new RegExp(`billet instance accept ${id}`));
  assert.equal((await status()).ahead, 1);
  assert.equal(ahead.generation, 1);

  // The number 2 is given again, to something else: it is neither sent nor taken for what runs.
  await setModules(fixture, 'ahead-1', [three.ref]);
  await new Promise((resolve) => setTimeout(resolve, 2_500));
  const held = await show(id);
  assert.ok(runs('1.0.2', 2)(held), JSON.stringify(held.heartbeat));
  assert.deepEqual([held.generation, held.confirmed, held.state], [2, 1, 'running']);
  assert.deepEqual(
    (await kinds(id)).filter((kind) => kind.startsWith('instance.a')),
    ['instance.ahead'],
  );

  const accepted = bodyOf(
    await fixture.admin.call(routes.acceptInstance, { params: { id }, body: {} }),
  );
  assert.deepEqual([accepted.generation, accepted.ahead], [3, null]);
  const next = await eventually(() => show(id), runs('1.0.3', 3));
  assert.equal(next.ahead, null);
  await eventually(
    () => show(id),
    ({ confirmed }) => confirmed === 3,
  );
  assert.equal((await status()).ahead, 0);
  assert.ok((await kinds(id)).includes('instance.accepted'));
  // Again, and nothing happens.
  const again = bodyOf(
    await fixture.admin.call(routes.acceptInstance, { params: { id }, body: {} }),
  );
  assert.equal(again.generation, 3);
  assert.equal(
    bodyOf(await fixture.admin.call(routes.getNode, { params: { name: again.node } })).generation,
    3,
  );
});

test('a node that is not newer goes on as before, and follows the next change', async () => {
  const id = await fixture.instance('even-1', { modules: [one.ref] });
  agents.push(await startAgent(fixture, id, all));
  await eventually(
    () => show(id),
    ({ confirmed }) => confirmed === 1,
  );
  await restoreOver(fixture, await takeBackup(fixture));
  await eventually(() => show(id), runs('1.0.1', 1));
  await setModules(fixture, 'even-1', [two.ref]);
  const shown = await eventually(() => show(id), runs('1.0.2', 2));
  assert.equal(shown.ahead, null);
  assert.ok(!(await kinds(id)).includes('instance.ahead'));
});

test('mutation: without the records of who may be newer, the node takes what nobody accepted', async () => {
  const { id, backup } = await aheadNode();
  await restoreOver(fixture, backup, async () => {
    const store = sqliteStore({ path: join(fixture.stateDir, 'store.sqlite') });
    await store.commit([], [{ kind: 'delete', key: `returns/${id}` }]);
    await store.close();
  });
  await setModules(fixture, 'ahead-1', [three.ref]);
  const shown = await eventually(() => show(id), runs('1.0.3', 2));
  assert.equal(shown.ahead, null);
});
