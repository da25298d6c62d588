// A real coordinator is told texts that want to be more than text, by nodes, operators and strangers.
// Its log lines, headers, events and boot scripts stay what they are, and the texts come back whole.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { lineLog } from '../../coordinator/log.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { storeFailed } from '../../coordinator/store/sqlite-file.ts';
import { routes } from '../../shared/routes/table.ts';
import { Event } from '../../shared/schema/records.ts';
import {
  bodyOf,
  csrOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  newKey,
  raw,
  startFixture,
} from './coordinator-fixture.ts';

const EVIL =
  'x\r\n<3>forged code=OK\u001b[2J\u009b31m\u202e"\\ key="y\n\ndata: {}\nid: 9\u2028\u0000\u{1f4a9}#\u0024{x} && || %0a';

const lines: string[] = [];
let isBroken = false;
let fixture: Fixture;
before(async () => {
  fixture = await startFixture(
    {},
    {
      log: lineLog((line) => lines.push(line)),
      openStore(path) {
        const store = sqliteStore({ path });
        const broken = () => Promise.reject(storeFailed(`cannot write ${path}`, new Error(EVIL)));
        return {
          ...store,
          commit: (conditions, writes) => (isBroken ? broken() : store.commit(conditions, writes)),
        };
      },
    },
  );
});
after(() => fixture.close());

const assertLog = () => {
  for (const line of lines) assert.match(line, /^<[346]>[\x20-\x7e]*\n$/);
};

async function events(): Promise<{ events: Event[]; text: string }> {
  const headers = { authorization: `Bearer ${fixture.credential}` };
  const { text } = await raw(fixture, '/v1/events', { headers });
  const frames = text.split('\n\n').filter((frame) => frame !== '' && frame !== ': still here');
  return {
    text,
    events: frames.map((frame) => {
      // The events of one commit have their id with the last of them.
      const found = /^(?:id: (\d+)\n)?data: ([^\r\n]*)$/.exec(frame);
      assert.ok(found, `a frame is an id and one line of data: ${JSON.stringify(frame)}`);
      const event = Event.parse(JSON.parse(found[2] ?? ''));
      if (found[1] !== undefined) assert.equal(String(event.revision), found[1]);
      return event;
    }),
  };
}

test('texts of nodes and operators come back whole, in events that nobody can forge', async () => {
  const { admin } = fixture;
  const id = await fixture.instance('evil-1', { labels: { note: EVIL } });
  const key = newKey();
  const facts = { ...FACTS, cpuModel: EVIL, dmi: { vendor: EVIL, serial: EVIL } };
  const body = { instance: id, token: await fixture.token(id), csr: csrOf(key, id), facts };
  const { certificate } = bodyOf(await fixture.client().client.call(routes.enroll, { body }));
  const { client } = fixture.client({ key: key.pem, certificate });
  await client.call(routes.heartbeat, {
    body: heartbeatOf({
      agentVersion: EVIL.slice(0, 64),
      conditions: [{ code: 'EVIL', text: EVIL, hint: EVIL }],
      verdicts: [{ generation: 1, verdict: 'rejected', reason: EVIL }],
    }),
  });
  const spec = { kind: 'reboot', reason: EVIL } as const;
  const task = bodyOf(await admin.call(routes.createTask, { body: { instance: id, spec } }));
  await client.call(routes.leaseTasks, { body: {} });
  const result = {
    outcome: 'failed',
    code: EVIL.slice(0, 64),
    message: EVIL,
    output: EVIL,
  } as const;
  const params = { id: task.id };
  await client.call(routes.reportTask, { params, body: { epoch: 1, result } });
  const serial = bodyOf(await admin.call(routes.getInstance, { params: { id } })).certificate
    ?.serial;
  assert.ok(serial);
  await admin.call(routes.revokeCertificate, { params: { serial }, body: { reason: EVIL } });

  const shown = bodyOf(await admin.call(routes.getInstance, { params: { id } }));
  assert.deepEqual([shown.facts?.dmi.serial, shown.heartbeat?.conditions[0]?.text], [EVIL, EVIL]);
  assert.equal(bodyOf(await admin.call(routes.getTask, { params })).result?.output, EVIL);
  const told = (await events()).events;
  for (const kind of ['generation.rejected', 'task.failed', 'certificate.revoked'])
    assert.equal(
      told.filter((one) => one.kind === kind && one.text.includes(EVIL)).length,
      1,
      kind,
    );
  assert.ok(
    told.every(({ subject }) => /^(?:node|instance|credential|task|ca)\/[a-z0-9-]+$/.test(subject)),
  );
  assertLog();
});

test('what a disk says when it fails stays in one log line, and out of the answer', async () => {
  isBroken = true;
  try {
    const headers = { authorization: `Bearer ${fixture.credential}` };
    const before = lines.length;
    const reply = await raw(fixture, '/v1/nodes?%0d%0a', { method: 'POST', headers, body: '{}' });
    assert.equal(reply.json.code, 'BODY_INVALID');
    const failed = await raw(fixture, '/v1/nodes', {
      method: 'POST',
      headers,
      body: JSON.stringify({ name: 'broken-1', spec: {} }),
    });
    assert.deepEqual([failed.status, failed.json.code], [500, 'STORE_FAILED']);
    assert.ok(failed.json.hint.length > 0);
    assert.equal(lines.length, before + 1, 'one line a failure');
    assert.match(
      lines.at(-1) ?? '',
      /^<3>POST \/v1\/nodes: .* code=STORE_FAILED request=[a-z0-9]+ /,
    );
    assertLog();
  } finally {
    isBroken = false;
  }
});

/** The head of the answer to bytes that no client of ours would send. */
async function headOf(bytes: string): Promise<string> {
  const { port } = fixture.coordinator;
  const socket = connect({ host: '127.0.0.1', port, ca: fixture.ca, servername: 'localhost' });
  let reply = '';
  socket
    .on('error', () => {})
    .on('data', (data) => {
      reply += data.toString('latin1');
    });
  socket.end(Buffer.from(bytes, 'latin1'));
  await new Promise((resolve) => socket.once('close', resolve));
  return reply.split('\r\n\r\n')[0] ?? '';
}

const HEADERS =
  /^(?:x-request-id|x-content-type-options|content-type|content-length|cache-control|connection|date|keep-alive|etag|allow|www-authenticate|retry-after|docker-distribution-api-version)$/i;

test('no header of an answer is made by who asks', async () => {
  const close = 'host: x\r\nconnection: close\r\n';
  const asked = [
    `GET /v1/nodes/%0d%0aset-cookie:%20a=b HTTP/1.1\r\n${close}\r\n`,
    `GET /v1/%1b[2J%0aset-cookie HTTP/1.1\r\n${close}user-agent: \u001b[2J\r\n\r\n`,
    `GET /v1/nodes\u009b31m HTTP/1.1\r\n${close}\r\n`,
    `GET /healthz HTTP/1.1\r\n${close}if-none-match: "\u009b"\r\nx-request-id: mine\r\n\r\n`,
    `GET /v1/events HTTP/1.1\r\n${close}authorization: Bearer a%0d%0ab\r\nlast-event-id: \u00ff\r\n\r\n`,
    `GET /v2/%0d%0aset-cookie:a=b/manifests/x HTTP/1.1\r\n${close}\r\n`,
    `BREW /healthz HTTP/1.1\r\n${close}\r\n`,
    `GET /healthz HTTP/1.1\r\n${close}a: b\rset-cookie: c\r\n\r\n`,
    `GET /healthz HTTP/1.1\r\n${close}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  ];
  for (const bytes of asked) {
    const [status, ...headers] = (await headOf(bytes)).split('\r\n');
    assert.match(status ?? '', /^HTTP\/1\.1 (?:200|400|401|404) [A-Za-z ]+$/, bytes);
    for (const header of headers) {
      assert.match(header, /^[A-Za-z-]+: [\x20-\x7e]*$/);
      assert.match(header.split(':')[0] ?? '', HEADERS, bytes);
      assert.doesNotMatch(header, /mine|set-cookie/);
    }
  }
  assertLog();
});
