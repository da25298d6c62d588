// Bad bodies on every route of the table: endless, far too long, no JSON, too deep. Each is refused
// with its code and a hint, none is read to its end, and nothing is changed.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import type { Route } from '../../shared/routes/route.ts';
import { routes } from '../../shared/routes/table.ts';
import { bodyOf, type Fixture, raw, startFixture, type TestNode } from './coordinator-fixture.ts';

const HUGE = 100 * 1024 * 1024;
const CHUNK = Buffer.from(`10000\r\n${' '.repeat(0x10000)}\r\n`);
/** What may be under way in both kernels when the server stops reading. */
const IN_FLIGHT = 16 * 1024 * 1024;

let fixture: Fixture;
let node: TestNode;
before(async () => {
  fixture = await startFixture();
  node = await fixture.node('bodies-1');
});
after(() => fixture.close());

interface Answered {
  readonly status: number;
  readonly code: string | undefined;
  readonly hint: string | undefined;
  /** Bytes of the body that went out before the server closed. */
  readonly sent: number;
}

const VALUES: Record<string, string> = {
  name: 'bodies-1',
  serial: 'abc',
  code: 'BCDF-GHJK',
  provider: 'libvirt',
  operation: 'o-0000000000000000',
};

/** A path of the route that its parameters allow: only then is its body what is refused. */
function pathOf({ path, params }: Route): string {
  const letter = /tasks/.test(path) ? 't' : /tokens/.test(path) ? 'k' : 'i';
  const id = `${letter}-${'0'.repeat(16)}${/signals/.test(path) ? '.silent' : ''}`;
  const given = Object.fromEntries(
    Object.keys(params.shape).map((key) => [key, VALUES[key] ?? id]),
  );
  const problem = params.safeParse(given).error;
  assert.equal(problem, undefined, `a value for ${path} is missing in VALUES: ${problem}`);
  return path.replace(/\{(\w+)\}/g, (_, key: string) => given[key] ?? '');
}

/** One request by who may make it, its body given in pieces until the server has had enough. */
async function send(route: Route, headers: string, body: Iterable<Buffer>): Promise<Answered> {
  const { port } = fixture.coordinator;
  const own = route.caller === 'node' ? { key: node.key.pem, cert: node.certificate } : {};
  const socket = connect({
    host: '127.0.0.1',
    port,
    ca: fixture.ca,
    servername: 'localhost',
    ...own,
  });
  const path = pathOf(route);
  const credential = `authorization: Bearer ${fixture.credential}\r\n`;
  let reply = '';
  let sent = 0;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  // Answered or not, this client goes on: the server has to end it.
  socket
    .setMaxListeners(0)
    .on('error', () => {})
    .on('data', (data) => {
      reply += data;
    });
  socket.write(`${route.method} ${path} HTTP/1.1\r\nhost: x\r\n${credential}${headers}\r\n`);
  for (const piece of body) {
    if (socket.destroyed || sent > HUGE) break;
    sent += piece.length;
    await written(socket, piece);
  }
  await Promise.race([closed, answered(socket, () => reply)]);
  socket.destroy();
  await closed;
  const [head = '', text = ''] = reply.split('\r\n\r\n');
  const document = /problem\+json/.test(head) && text.startsWith('{') ? JSON.parse(text) : {};
  const status = Number(/^HTTP\/1.1 (\d+)/.exec(head)?.[1] ?? 0);
  return { status, code: document.code, hint: document.hint, sent };
}

const written = (socket: TLSSocket, piece: Buffer) =>
  new Promise<void>((resolve) => {
    const done = () => {
      socket.off('close', done);
      resolve();
    };
    socket.once('close', done).write(piece, done);
  });

async function answered(socket: TLSSocket, reply: () => string): Promise<void> {
  while (!/\r\n\r\n.*[}\n]$/s.test(reply()))
    await new Promise((resolve) => socket.once('data', resolve));
}

function* endless(): Generator<Buffer> {
  for (;;) yield CHUNK;
}

const withBody = Object.entries(routes).filter(([, { method }]) => method !== 'GET');
const revision = async () => bodyOf(await fixture.admin.call(routes.getStatus, {})).revision;

/** Each change has its event; what the coordinator keeps for itself, leases and last-seen times, has none. */
async function assertNothingChanged(at: number): Promise<void> {
  const headers = { authorization: `Bearer ${fixture.credential}` };
  const { status, text } = await raw(fixture, `/v1/events?after=${at}&follow=false`, { headers });
  assert.equal(status, 200, text);
  assert.deepEqual(text.match(/^data: .*$/gm), null, 'nothing was changed');
}

function assertRefused(found: Answered, expected: readonly [number, string], what: string): void {
  assert.deepEqual([found.status, found.code], expected, what);
  assert.ok((found.hint ?? '').length > 5, `${what} has a hint`);
}

test('a body of 100 MB is refused by every route at its limit', { timeout: 60_000 }, async () => {
  const at = await revision();
  for (const [name, route] of withBody) {
    const announced = await send(route, `content-length: ${HUGE}\r\n`, [Buffer.from('{')]);
    assertRefused(announced, [413, 'BODY_TOO_LARGE'], `${name}, announced`);
    const poured = await send(route, 'transfer-encoding: chunked\r\n', endless());
    if (poured.status !== 0) assertRefused(poured, [413, 'BODY_TOO_LARGE'], `${name}, poured`);
    assert.ok(poured.sent < IN_FLIGHT, `${name} took ${poured.sent} bytes`);
  }
  await assertNothingChanged(at);
  // The node of this file was made before: that look would have seen a change.
  await assert.rejects(assertNothingChanged(1), /nothing was changed/);
});

test('what is no JSON, no UTF-8 or too deep is refused by every route', async () => {
  const at = await revision();
  const deep = '['.repeat(30_000) + ']'.repeat(30_000);
  const objects = `${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`;
  const bodies = [
    '{"name":',
    '{"a":1}}',
    "{'a':1}",
    '\u0000',
    deep,
    objects,
    Buffer.from('"\xff"', 'latin1'),
  ];
  for (const [name, route] of withBody)
    for (const one of bodies) {
      const body = Buffer.from(one);
      const found = await send(route, `content-length: ${body.length}\r\n`, [body]);
      assertRefused(found, [400, 'BODY_INVALID'], `${name} ${String(one).slice(0, 20)}`);
    }
  await assertNothingChanged(at);
});

test('the body of a route that takes none is not read', { timeout: 60_000 }, async () => {
  for (const [name, route] of Object.entries(routes)) {
    if (route.method !== 'GET') continue;
    const { sent } = await send(route, 'transfer-encoding: chunked\r\n', endless());
    assert.ok(sent < IN_FLIGHT, `${name} took ${sent} bytes`);
  }
});
