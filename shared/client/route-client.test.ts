import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { Agent } from 'undici';
import { getNode, listNodes, putNodeSpec } from '../routes/operator.ts';
import { NodeName } from '../schema/ids.ts';
import { Derived, NodeSpec } from '../schema/records.ts';
import { type RouteClient, routeClient } from './route-client.ts';

let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => answer(request, response, body));
});
const dispatcher = new Agent();
let client: RouteClient;

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  client = routeClient({
    dispatcher,
    baseUrl: `http://127.0.0.1:${port}/ignored`,
    headers: { authorization: 'Bearer x' },
  });
});
after(async () => {
  await dispatcher.destroy();
  server.close();
});

const name = NodeName.parse('web-1');
const node = {
  name: 'web-1',
  spec: {},
  derived: Derived.parse({
    class: null,
    template: null,
    platform: null,
    publication: null,
    region: null,
    instanceType: null,
    lifecycleClass: 'persistent',
    install: null,
    bootImage: null,
    modules: [],
    settings: {},
  }),
  generation: 1,
  instance: null,
  set: null,
  createdAt: '2026-11-21T00:00:00.000Z',
  revision: 7,
};
const reply = (status: number, body: unknown, headers: Record<string, string> = {}) => {
  answer = (_request, response) => {
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
  };
};

test('path, query, headers and body are what the route says', async () => {
  const seen: unknown[] = [];
  answer = ({ method, url, headers }, response, body) => {
    seen.push([method, url, headers.authorization, headers['if-match'], body]);
    response.end(
      JSON.stringify(url?.includes('spec') ? node : { items: [], next: null, revision: 1 }),
    );
  };
  await client.call(listNodes, { query: { after: 'a/b&c', limit: 5 } });
  await client.call(putNodeSpec, {
    params: { name },
    body: NodeSpec.parse({ labels: { a: 'b' } }),
    ifMatch: '"7"',
  });
  assert.deepEqual(seen[0], [
    'GET',
    '/v1/nodes?after=a%2Fb%26c&limit=5',
    'Bearer x',
    undefined,
    '',
  ]);
  const [method, url, , ifMatch, body] = seen[1] as string[];
  assert.deepEqual([method, url, ifMatch], ['PUT', '/v1/nodes/web-1/spec', '"7"']);
  assert.deepEqual(JSON.parse(body ?? '').labels, { a: 'b' });
});

test('a reply is parsed, and comes with its ETag; 304 is null', async () => {
  reply(200, node, { etag: '"h.1"' });
  const got = await client.call(getNode, { params: { name } });
  assert.deepEqual([got?.etag, got?.body.revision, got?.body.spec.modules], ['"h.1"', 7, []]);
  reply(304, '');
  assert.equal(await client.call(getNode, { params: { name }, etag: '"h.1"' }), null);
});

test('a problem document becomes its error', async () => {
  reply(404, { code: 'NOT_FOUND', detail: 'no web-1', hint: 'look', details: { a: 1 } });
  await assert.rejects(client.call(getNode, { params: { name } }), {
    code: 'NOT_FOUND',
    message: 'no web-1',
    hint: 'look',
    details: { a: 1 },
  });
});

test('a code of a newer coordinator keeps its name, and becomes the code of its status', async () => {
  reply(409, { code: 'FROM_THE_FUTURE', detail: 'x', hint: 'y' });
  await assert.rejects(client.call(getNode, { params: { name } }), {
    code: 'CONFLICT',
    details: { code: 'FROM_THE_FUTURE', status: 409 },
  });
  reply(502, '<html>bad gateway</html>');
  await assert.rejects(client.call(getNode, { params: { name } }), { code: 'UNAVAILABLE' });
});

test('a reply that is not what the schema says is refused', async () => {
  reply(200, { name: 5 });
  await assert.rejects(client.call(getNode, { params: { name } }), {
    code: 'INTERNAL',
    message: /name/,
  });
  reply(200, 'not json');
  await assert.rejects(client.call(getNode, { params: { name } }), { code: 'INTERNAL' });
});

test('no answer is TIMEOUT, nobody there is LINK_DOWN, and giving up is the reason given', async () => {
  answer = () => undefined;
  await assert.rejects(client.call(getNode, { params: { name }, timeoutMs: 50 }), {
    code: 'TIMEOUT',
  });
  const reason = new Error('enough');
  const stop = new AbortController();
  const asked = client.call(getNode, { params: { name }, signal: stop.signal });
  stop.abort(reason);
  await assert.rejects(asked, reason);
  const nobody = routeClient({ dispatcher, baseUrl: 'http://127.0.0.1:1' });
  await assert.rejects(nobody.call(getNode, { params: { name } }), { code: 'LINK_DOWN' });
});
