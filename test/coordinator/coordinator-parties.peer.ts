// What each party cannot do, as docs/security.md says it: every role at every route of the table, a
// node at the records of others, and secrets in whatever a coordinator writes.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { lineLog } from '../../coordinator/log.ts';
import type { Route } from '../../shared/routes/route.ts';
import { routes } from '../../shared/routes/table.ts';
import { Desired } from '../../shared/schema/desired.ts';
import { CredentialName } from '../../shared/schema/ids.ts';
import {
  bodyOf,
  csrOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  newKey,
  raw,
  startFixture,
  type TestNode,
} from './coordinator-fixture.ts';

const lines: string[] = [];
let fixture: Fixture;
let [node, other]: [TestNode, TestNode] = [] as never;
before(async () => {
  fixture = await startFixture({}, { log: lineLog((line) => lines.push(line)) });
  [node, other] = [await fixture.node('party-1'), await fixture.node('party-2')];
});
after(() => fixture.close());

const credential = async (name: string, role: 'viewer' | 'operator') => {
  const body = { name: CredentialName.parse(name), role };
  return bodyOf(await fixture.admin.call(routes.createCredential, { body })).secret;
};

/** A path of the route that its parameters allow; nothing is there. */
const pathOf = ({ path }: Route) =>
  path.replace(/\{(\w+)\}/g, (_, key: string) => {
    const values: Record<string, string> = { name: 'party-0', serial: 'abc', code: 'BCDF-GHJK' };
    const letter = /tasks/.test(path) ? 't' : /tokens/.test(path) ? 'k' : 'i';
    return values[key] ?? `${letter}-${'0'.repeat(16)}`;
  });

test('no caller below the role of a route gets anything from it, whichever the route', async () => {
  const roles: Route['caller'][] = ['viewer', 'operator', 'admin'];
  const viewer = { authorization: `Bearer ${await credential('rank-1', 'viewer')}` };
  const operator = { authorization: `Bearer ${await credential('rank-2', 'operator')}` };
  let asked = 0;
  for (const route of Object.values<Route>(routes).filter(({ caller }) => caller !== 'anyone')) {
    const rank = roles.indexOf(route.caller);
    const below = [
      { who: 'nobody', agent: fixture.client().agent, headers: {} },
      ...(route.caller === 'node' ? [] : [{ who: 'node', agent: node.agent, headers: {} }]),
      ...(rank > 0 || rank < 0 ? [{ who: 'viewer', agent: undefined, headers: viewer }] : []),
      ...(rank > 1 || rank < 0 ? [{ who: 'operator', agent: undefined, headers: operator }] : []),
    ];
    for (const { who, agent, headers } of below) {
      const { method } = route;
      const options = { method, headers, ...(method === 'GET' ? {} : { body: '{}' }) };
      const reply = await raw(fixture, pathOf(route), agent ? { ...options, agent } : options);
      const said = `${who}: ${method} ${route.path}: ${reply.status} ${reply.text}`;
      assert.ok([401, 403].includes(reply.status), said);
      assert.match(
        reply.json.code,
        /^(UNAUTHENTICATED|FORBIDDEN|CERTIFICATE_(REQUIRED|INVALID))$/,
        said,
      );
      assert.ok(reply.json.hint.length > 5, said);
      asked += 1;
    }
  }
  assert.ok(asked > 80, `${asked} requests`);
});

test('a node reads its own desired state, and leases, renews and reports its own tasks only', async () => {
  const reply = bodyOf(await node.client.call(routes.getDesired, {}));
  const own = Desired.parse(JSON.parse(Buffer.from(reply.envelope.payload, 'base64').toString()));
  assert.equal(own.instance, node.id);
  const spec = { kind: 'collect-logs', lines: 10 } as const;
  const body = { instance: other.id, spec };
  const task = bodyOf(await fixture.admin.call(routes.createTask, { body }));
  const lease = async (of: TestNode) =>
    bodyOf(await of.client.call(routes.leaseTasks, { body: {} })).tasks;
  assert.deepEqual(await lease(node), []);
  const [leased] = await lease(other);
  assert.equal(leased?.id, task.id);
  const params = { id: task.id };
  const result = { outcome: 'succeeded', output: '' } as const;
  for (const call of [
    node.client.call(routes.renewTask, { params, body: { epoch: 1 } }),
    node.client.call(routes.reportTask, { params, body: { epoch: 1, result } }),
  ])
    await assert.rejects(call, { code: 'NOT_FOUND' });
  assert.equal(bodyOf(await fixture.admin.call(routes.getTask, { params })).state, 'leased');
});

test('a node that restarts to leave a rejected system gets a token, and without saying so it does not', async () => {
  const [leaving, staying] = [await fixture.node('back-1'), await fixture.node('back-2')];
  const ordered = async ({ id }: TestNode) =>
    bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } })).bootOrdered;
  const beat = (of: TestNode, code: string) => {
    const conditions = [{ code, text: 'generation 2 was rejected', hint: 'look' }];
    return of.client.call(routes.heartbeat, { body: heartbeatOf({ conditions }) });
  };
  await beat(leaving, 'GOING_BACK');
  await beat(staying, 'REBOOT_PENDING');
  assert.deepEqual([await ordered(leaving), await ordered(staying)], [true, false]);
});

test('tokens and credentials are kept as digests, keys in files of the owner, and no log has a secret', async () => {
  const instance = await fixture.instance('secret-1');
  const token = await fixture.token(instance);
  const [viewer, key] = [await credential('secret-2', 'viewer'), newKey()];
  const body = { instance, token, csr: csrOf(key, instance), facts: FACTS };
  const { client } = fixture.client();
  await client.call(routes.enroll, { body });
  await assert.rejects(
    client.call(routes.enroll, { body: { ...body, csr: csrOf(newKey(), instance) } }),
  );
  const wrong = { authorization: `Bearer ${viewer}x` };
  assert.equal((await raw(fixture, '/v1/nodes', { headers: wrong })).status, 401);

  const secretOf = (text: string) => text.split('.').at(-1) ?? text;
  const secrets = [token, secretOf(viewer), key.pem.split('\n')[1] ?? ''];
  for (const secret of secrets) {
    assert.ok(secret.length >= 32, secret);
    for (const file of globSync('**/*', { cwd: fixture.stateDir })) {
      const path = join(fixture.stateDir, file);
      if (statSync(path).isFile()) assert.ok(!readFileSync(path).includes(secret), file);
    }
    assert.ok(!lines.join('').includes(secret));
  }
  // The scan finds what is there: the digest of the token.
  const digest = createHash('sha256').update(token).digest();
  const stored = globSync('*.sqlite*', { cwd: fixture.stateDir }).map((file) =>
    readFileSync(join(fixture.stateDir, file)),
  );
  const forms = [digest.toString('hex'), digest.toString('base64url'), digest.toString('base64')];
  assert.ok(stored.some((bytes) => forms.some((form) => bytes.includes(form))));
  for (const file of ['ca/ca.key', 'admin.json'])
    assert.equal(statSync(join(fixture.stateDir, file)).mode & 0o777, 0o600, file);
});
