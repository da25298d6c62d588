// The coordinator as a server: what bad requests get, roles, limits, the documents it serves, and
// what is left of it after kill -9.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { Agent, request } from 'undici';
import { routes } from '../../shared/routes/table.ts';
import { CredentialName } from '../../shared/schema/ids.ts';
import { bodyOf, type Fixture, heartbeatOf, raw, startFixture } from './coordinator-fixture.ts';

let fixture: Fixture;
let bearer: { authorization: string };
before(async () => {
  fixture = await startFixture();
  bearer = { authorization: `Bearer ${fixture.credential}` };
});
after(() => fixture.close());

const post = (path: string, body: string | Buffer, headers = {}) =>
  raw(fixture, path, { method: 'POST', body, headers: { ...bearer, ...headers } });

test('every unknown field of an operator is named; a node may send what we do not know', async () => {
  const body = {
    name: 'strict-1',
    colour: 'red',
    spec: { shape: 1, macs: ['no'], settings: { x: 1 } },
  };
  const reply = await post('/v1/nodes', JSON.stringify(body));
  assert.deepEqual([reply.status, reply.json.code], [400, 'BODY_INVALID']);
  assert.match(reply.json.detail, /unknown fields /);
  const paths = reply.json.details.issues.map(({ path }: { path: string }) => path);
  for (const path of ['colour', 'spec.shape', 'spec.settings.x', 'spec.macs.0'])
    assert.ok(paths.includes(path), `${path} in ${paths}`);
  const query = await raw(fixture, '/v1/nodes?limit=1&colour=red', { headers: bearer });
  assert.match(query.json.detail, /unknown field colour/);

  const node = await fixture.node('lenient-1');
  const heartbeat = JSON.stringify({ ...heartbeatOf(), future: { any: 1 } });
  const lenient = await raw(fixture, '/v1/node/heartbeat', {
    method: 'POST',
    body: heartbeat,
    agent: node.agent,
  });
  assert.equal(lenient.status, 200);
});

test('a body that is too large, too deep or no JSON is refused with a problem document', async () => {
  const large = await post('/v1/nodes', Buffer.alloc(300 * 1024, 0x20));
  assert.deepEqual([large.status, large.json.code], [413, 'BODY_TOO_LARGE']);
  const deep = await post('/v1/nodes', '['.repeat(20_000));
  assert.match(deep.json.detail, /nested deeper/);
  const cases = [
    ['{"name":', /not JSON/],
    [Buffer.from([0x22, 0xff, 0x22]), /not UTF-8/],
    ['', /body/],
  ] as const;
  for (const [body, why] of cases) {
    const reply = await post('/v1/nodes', body);
    assert.deepEqual([reply.status, reply.json.code], [400, 'BODY_INVALID']);
    assert.match(reply.json.detail, why);
    assert.equal(reply.headers['content-type'], 'application/problem+json');
    assert.doesNotMatch(reply.text, /node:internal|\.ts:\d/);
  }
  const typed = await post('/v1/nodes', 'name=x', { 'content-type': 'text/plain' });
  assert.match(typed.json.detail, /of type "text\/plain"/);
});

test('a body of 100 MB ends after its head, without being read', async () => {
  const { port } = fixture.coordinator;
  const socket = connectTls({ host: '127.0.0.1', port, ca: fixture.ca, servername: 'localhost' });
  const head = `POST /v1/nodes HTTP/1.1\r\nhost: x\r\nauthorization: ${bearer.authorization}\r\n`;
  socket.write(`${head}content-length: 100000000\r\n\r\n{`);
  let reply = '';
  socket.on('data', (data) => {
    reply += data;
  });
  await once(socket, 'close');
  assert.match(reply, /^HTTP\/1.1 413 .*BODY_TOO_LARGE/s);
});

test('paths and methods that are not there say what is', async () => {
  const path = await raw(fixture, '/v1/nowhere');
  assert.deepEqual([path.status, path.json.code], [404, 'NOT_FOUND']);
  const method = await raw(fixture, '/v1/nodes', { method: 'PATCH', headers: bearer });
  assert.deepEqual([method.status, method.headers.allow], [405, 'POST, GET, HEAD']);
  const head = await raw(fixture, '/healthz', { method: 'HEAD' });
  assert.deepEqual([head.status, head.text], [200, '']);
  const params = await raw(fixture, '/v1/nodes/No%20Such', { headers: bearer });
  assert.equal(params.json.code, 'BODY_INVALID');
});

test('a role may do what is its own and no more', async () => {
  const admin = fixture.admin;
  const credential = async (name: string, role: 'viewer' | 'operator') => {
    const body = { name: CredentialName.parse(name), role };
    return bodyOf(await admin.call(routes.createCredential, { body })).secret;
  };
  const viewer = await credential('watcher', 'viewer');
  const operator = await credential('worker', 'operator');
  const ask = async (secret: string, method: 'GET' | 'POST', path: string, body?: string) =>
    (
      await raw(fixture, path, {
        method,
        headers: { authorization: `Bearer ${secret}` },
        ...(body ? { body } : {}),
      })
    ).status;
  assert.equal(await ask(viewer, 'GET', '/v1/nodes'), 200);
  assert.equal(await ask(viewer, 'POST', '/v1/nodes', '{"name":"x","spec":{}}'), 403);
  assert.equal(await ask(operator, 'POST', '/v1/nodes', '{"name":"role-1","spec":{}}'), 201);
  assert.equal(await ask(operator, 'GET', '/v1/credentials'), 403);
  const forged = viewer.replace('watcher', 'worker');
  assert.equal(await ask(forged, 'GET', '/v1/nodes'), 401);
  assert.equal((await raw(fixture, '/v1/nodes')).json.code, 'UNAUTHENTICATED');
  const node = await fixture.node('role-2');
  assert.equal((await raw(fixture, '/v1/nodes', { agent: node.agent })).json.code, 'FORBIDDEN');
  const params = { name: CredentialName.parse('watcher') };
  await admin.call(routes.deleteCredential, { params });
  assert.equal(await ask(viewer, 'GET', '/v1/nodes'), 401);

  const registry = async (headers: Record<string, string>, method: 'GET' | 'POST' = 'GET') => {
    const path = method === 'GET' ? '/v2/' : '/v2/some/blobs/uploads/';
    return await raw(fixture, path, { method, headers });
  };
  const anonymous = await registry({});
  assert.deepEqual(
    [anonymous.status, anonymous.headers['www-authenticate']],
    [401, 'Basic realm="billet"'],
  );
  const basic = `Basic ${Buffer.from(`any:${operator}`).toString('base64')}`;
  assert.equal((await registry({ authorization: basic })).status, 200);
  assert.equal((await registry({ authorization: basic }, 'POST')).status, 202);
  assert.equal((await raw(fixture, '/v2/', { agent: node.agent })).status, 200);
  const push = { method: 'POST', agent: node.agent } as const;
  assert.equal((await raw(fixture, '/v2/some/blobs/uploads/', push)).status, 403);
});

test('lists come in pages of one revision, and a change needs the revision that was read', async () => {
  for (const name of ['page-1', 'page-2', 'page-3']) await fixture.instance(name);
  const page = async (query: string) =>
    (await raw(fixture, `/v1/nodes?${query}`, { headers: bearer })).json;
  const first = await page('limit=2');
  await fixture.instance('page-4');
  const second = await page(`limit=1000&after=${first.next}`);
  assert.equal(second.revision, first.revision);
  const names = [...first.items, ...second.items].map(({ name }: { name: string }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.ok(!names.includes('page-4'));
  assert.equal((await page('after=nonsense')).code, 'BODY_INVALID');

  const node = await raw(fixture, '/v1/nodes/page-1', { headers: bearer });
  const put = (etag: string, label = 'b') =>
    raw(fixture, '/v1/nodes/page-1/spec', {
      method: 'PUT',
      headers: { ...bearer, 'if-match': etag },
      body: JSON.stringify({ labels: { a: label } }),
    });
  const etag = String(node.headers.etag);
  assert.equal((await put(etag)).json.generation, 2);
  assert.equal((await put(etag)).json.generation, 2, 'sent again after a lost answer');
  assert.equal((await put(etag, 'c')).json.code, 'CONFLICT');
});

test('a machine belongs to one node, and a node has one instance', async () => {
  const mac = { macs: ['52:54:00:00:00:99'] };
  await fixture.instance('mac-1', mac);
  await assert.rejects(fixture.instance('mac-2', mac), { code: 'CONFLICT' });
  await assert.rejects(fixture.instance('mac-1', mac), { code: 'CONFLICT' });
});

test('the admin context is for root alone, and the CA is the one that was promised', async () => {
  const { mode } = await stat(fixture.coordinator.adminContextPath);
  assert.equal(mode & 0o777, 0o600);
  assert.equal((await raw(fixture, '/v1/ca')).text, fixture.ca);
  assert.match((await raw(fixture, '/v1/ca/crl')).text, /^-----BEGIN X509 CRL-----/);
  const { json } = await raw(fixture, '/openapi.json');
  assert.equal(json.openapi, '3.1.1');
});

test('after kill -9 a coordinator comes back with everything that it acknowledged', async () => {
  const stateDir = await mkdtemp(join(tmpdir(), 'billet-killed-'));
  const start = async () => {
    const main = join(import.meta.dirname, '../../coordinator/main.ts');
    const flags = ['--state-dir', stateDir, '--listen', '127.0.0.1:0', '--boot-listen', 'none'];
    const child = spawn(process.execPath, [main, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    for await (const chunk of child.stderr) {
      said += chunk;
      if (/serving url=/.test(said)) break;
    }
    return { child, context: JSON.parse(await readFile(join(stateDir, 'admin.json'), 'utf8')) };
  };
  const call = async (
    { url, ca, credential }: Record<string, string>,
    path: string,
    body?: string,
  ) => {
    const dispatcher = new Agent({ connect: { ca: ca ?? '' } });
    const headers = { authorization: `Bearer ${credential}` };
    const method = body === undefined ? 'GET' : 'POST';
    const response = await request(`${url}${path}`, {
      dispatcher,
      headers,
      method,
      body: body ?? null,
    });
    const json = await response.body.json();
    await dispatcher.destroy();
    return json as { history: string; items: { name: string }[]; name: string };
  };
  try {
    const first = await start();
    const { history } = await call(first.context, '/v1/status');
    const names = Array.from({ length: 8 }, (_, at) => `kept-${at}`);
    await Promise.all(
      names.map((name) => call(first.context, '/v1/nodes', JSON.stringify({ name, spec: {} }))),
    );
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const second = await start();
    assert.notEqual(second.context.url, first.context.url, 'the context follows the port');
    assert.equal((await call(second.context, '/v1/status')).history, history);
    const { items } = await call(second.context, '/v1/nodes');
    assert.deepEqual(
      items.map(({ name }) => name),
      names,
    );
    second.child.kill('SIGTERM');
    assert.deepEqual(await once(second.child, 'exit'), [0, null]);
  } finally {
    await rm(stateDir, { recursive: true });
  }
});
