// The node's half of the wire, over real HTTPS: enrollment, renewal, desired state, long poll,
// heartbeats, certificates that end. No machine is started.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { routes } from '../../shared/routes/table.ts';
import { Desired } from '../../shared/schema/desired.ts';
import { NodeName, Serial } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
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

let fixture: Fixture;
before(async () => {
  fixture = await startFixture();
});
after(() => fixture.close());

const spec = (fields: object) => NodeSpec.parse(fields);
const serialOf = (pem: string) =>
  Serial.parse(new X509Certificate(pem).serialNumber.toLowerCase().replace(/^0+/, ''));

test('a token enrolls one key: again for the same key, never for another', async () => {
  const instance = await fixture.instance('enroll-1');
  const token = await fixture.token(instance);
  const [key, thief] = [newKey(), newKey()];
  const { client } = fixture.client();
  const enroll = (of = key, facts = FACTS) =>
    client.call(routes.enroll, { body: { instance, token, csr: csrOf(of, instance), facts } });

  const first = bodyOf(await enroll());
  assert.equal(
    new X509Certificate(first.certificate).subjectAltName,
    `URI:spiffe://billet.internal/instance/${instance}`,
  );
  assert.equal(bodyOf(await enroll()).certificate, first.certificate);
  const hint = new RegExp(`revoke certificate ${serialOf(first.certificate)};`);
  await assert.rejects(enroll(thief), { code: 'TOKEN_USED', hint });

  const shown = bodyOf(await fixture.admin.call(routes.getInstance, { params: { id: instance } }));
  assert.equal(shown.state, 'bootstrapping');
  assert.equal(shown.facts?.macs[0], '52:54:00:12:34:56');
  assert.equal(shown.bootOrdered, false);
  assert.equal(shown.certificate?.serial, serialOf(first.certificate));
});

test('of many enrollments with one token at once, one key wins', async () => {
  const instance = await fixture.instance('enroll-race');
  const token = await fixture.token(instance);
  const { client } = fixture.client();
  const tries = await Promise.allSettled(
    Array.from({ length: 8 }, () => {
      const body = { instance, token, csr: csrOf(newKey(), instance), facts: FACTS };
      return client.call(routes.enroll, { body });
    }),
  );
  const won = tries.filter((one) => one.status === 'fulfilled');
  const lost = tries.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
  assert.equal(won.length, 1);
  assert.deepEqual(new Set(lost), new Set(['TOKEN_USED']));
});

test('what is wrong with an enrollment has a code, and leaves nothing half done', async () => {
  const [instance, other] = [await fixture.instance('bad-1'), await fixture.instance('bad-2')];
  const token = await fixture.token(instance);
  const key = newKey();
  const { client } = fixture.client();
  const good = { instance, token, csr: csrOf(key, instance), facts: FACTS };
  const refused = (code: string, change: object) =>
    assert.rejects(client.call(routes.enroll, { body: { ...good, ...change } }), { code }, code);
  await refused('TOKEN_INVALID', { token: 'x'.repeat(43) });
  await refused('TOKEN_INVALID', { instance: other, csr: csrOf(key, other) });
  await refused('CSR_REFUSED', { csr: csrOf(key, other) });
  await refused('CSR_REFUSED', {
    csr: csrOf(key, instance).replace(/.{8}\n-----END/, 'AAAAAAA=\n-----END'),
  });
  await refused('BODY_INVALID', { facts: { ...FACTS, cpuCount: 0 } });
  const expired = await fixture.token(instance);
  fixture.clock.advance(24 * 3_600_000 + 1);
  await refused('TOKEN_EXPIRED', { token: expired });
  const shown = bodyOf(await fixture.admin.call(routes.getInstance, { params: { id: instance } }));
  assert.deepEqual([shown.state, shown.certificate], ['pending', null]);
});

test('one address that keeps failing is slowed down, and what is valid still passes', async () => {
  const own = await startFixture();
  try {
    const instance = await own.instance('storm-1');
    const { client } = own.client();
    const body = { instance, token: 'y'.repeat(43), csr: csrOf(newKey(), instance), facts: FACTS };
    const codes: string[] = [];
    for (let at = 0; at < 24; at += 1)
      await client.call(routes.enroll, { body }).catch((error) => codes.push(error.code));
    assert.equal(codes[0], 'TOKEN_INVALID');
    assert.equal(codes.at(-1), 'TOO_MANY_REQUESTS');
    const over = await raw(own, '/v1/enroll', { method: 'POST', body: JSON.stringify(body) });
    assert.deepEqual([over.status, over.headers['retry-after']], [429, '3']);
    const token = await own.token(instance);
    assert.ok(await client.call(routes.enroll, { body: { ...body, token } }));
  } finally {
    await own.close();
  }
});

test('a renewed certificate works, and so does the one before, until a token is used', async () => {
  const node = await fixture.node('renew-1');
  const csr = csrOf(newKey(), node.id);
  await assert.rejects(
    node.client.call(routes.renewCertificate, {
      body: { csr: csrOf(newKey(), 'i-0000000000000000') },
    }),
    { code: 'CSR_REFUSED' },
  );
  const key = newKey();
  const body = { csr: csrOf(key, node.id) };
  const { certificate } = bodyOf(await node.client.call(routes.renewCertificate, { body }));
  const renewed = fixture.client({ key: key.pem, certificate }).client;
  await renewed.call(routes.heartbeat, { body: heartbeatOf() });
  await node.client.call(routes.heartbeat, { body: heartbeatOf() });

  const token = await fixture.token(node.id);
  const fresh = { instance: node.id, token, csr, facts: FACTS };
  await fixture.client().client.call(routes.enroll, { body: fresh });
  for (const { pem, chain } of [
    { pem: key.pem, chain: certificate },
    { pem: node.key.pem, chain: node.certificate },
  ]) {
    const { client } = fixture.client({ key: pem, certificate: chain });
    const call = client.call(routes.heartbeat, { body: heartbeatOf() });
    await assert.rejects(call, { code: 'CERTIFICATE_REVOKED' });
  }
});

test('an expired certificate opens renewal only, for 90 days', async () => {
  const own = await startFixture();
  try {
    const node = await own.node('late-1');
    own.clock.advance(31 * 86_400_000);
    const heartbeat = node.client.call(routes.heartbeat, { body: heartbeatOf() });
    await assert.rejects(heartbeat, { code: 'CERTIFICATE_EXPIRED' });
    const body = { csr: csrOf(node.key, node.id) };
    assert.ok(await node.client.call(routes.renewCertificate, { body }));
    own.clock.advance(90 * 86_400_000);
    const tooLate = node.client.call(routes.renewCertificate, { body });
    await assert.rejects(tooLate, { code: 'CERTIFICATE_EXPIRED' });
  } finally {
    await own.close();
  }
});

test('desired state has an ETag, and a long poll ends when it changes', async () => {
  const name = NodeName.parse('poll-1');
  const node = await fixture.node(name, { settings: { hostname: 'poll-1' } });
  const first = await node.client.call(routes.getDesired, {});
  const { envelope, rejected, good } = bodyOf(first);
  const desired = Desired.parse(JSON.parse(Buffer.from(envelope.payload, 'base64').toString()));
  assert.equal(desired.instance, node.id);
  assert.deepEqual([desired.generation, rejected, good], [1, [], null]);

  const etag = first?.etag ?? '';
  assert.equal(await node.client.call(routes.getDesired, { etag }), null);
  const poll = node.client.call(routes.getDesired, { etag, query: { wait: 30 } });
  const change = { params: { name }, body: spec({ settings: { hostname: 'other' } }) };
  await fixture.admin.call(routes.putNodeSpec, change);
  const second = await poll;
  const changed = JSON.parse(Buffer.from(bodyOf(second).envelope.payload, 'base64').toString());
  assert.deepEqual([changed.generation, changed.settings.hostname], [2, 'other']);
  await fixture.admin.call(routes.putNodeSpec, change);
  const { desired: now } = bodyOf(
    await node.client.call(routes.heartbeat, { body: heartbeatOf() }),
  );
  assert.equal(now, second?.etag, 'the same spec again is no new generation');
});

test('a generation seen ready is confirmed and kept to go back to; a rejected one is told', async () => {
  const name = NodeName.parse('verdict-1');
  const node = await fixture.node(name);
  const beat = async (fields: object) =>
    bodyOf(await node.client.call(routes.heartbeat, { body: heartbeatOf(fields) }));
  assert.equal((await beat({ phase: 'bootstrapping', generation: 1 })).confirmed, null);
  assert.equal((await beat({ phase: 'ready', generation: 1 })).confirmed, 1);
  await fixture.admin.call(routes.putNodeSpec, {
    params: { name },
    body: spec({ labels: { a: 'b' } }),
  });
  const verdicts = [{ generation: 2, verdict: 'rejected', reason: 'probe web failed' }];
  assert.equal((await beat({ phase: 'degraded', generation: 2, verdicts })).confirmed, 1);

  const { envelope, rejected, good } = bodyOf(await node.client.call(routes.getDesired, {}));
  const generationOf = (one: { payload: string } | null) =>
    JSON.parse(Buffer.from(one?.payload ?? '', 'base64').toString()).generation;
  assert.deepEqual([generationOf(envelope), rejected, generationOf(good)], [2, [2], 1]);
  const shown = bodyOf(await fixture.admin.call(routes.getInstance, { params: { id: node.id } }));
  assert.equal(shown.state, 'running');
  assert.equal(shown.rejected[0]?.reason, 'probe web failed');
  assert.equal(shown.heartbeat?.phase, 'degraded');
});

test('a revoked certificate ends its connection at once, and no resumed session revives it', async () => {
  const node = await fixture.node('revoked-1');
  const { port } = fixture.coordinator;
  const identity = { ca: fixture.ca, key: node.key.pem, cert: node.certificate };
  const options = { host: '127.0.0.1', port, servername: 'localhost', ...identity };
  const ask = 'GET /v1/node/desired HTTP/1.1\r\nhost: x\r\n\r\n';
  const open = connectTls(options);
  const session = new Promise<Buffer>((resolve) => open.once('session', resolve));
  open.write(ask);
  assert.match(
    String(await new Promise((resolve) => open.once('data', resolve))),
    /^HTTP\/1.1 200/,
  );
  const ticket = await session;

  const resumed = connectTls({ ...options, session: ticket });
  resumed.write(ask);
  assert.match(String(await new Promise((resolve) => resumed.once('data', resolve))), /1.1 200/);
  assert.equal(resumed.isSessionReused(), true, 'the ticket works while the certificate stands');

  const ended = [open, resumed].map((one) => new Promise((resolve) => one.once('close', resolve)));
  const params = { serial: serialOf(node.certificate) };
  const revoked = await fixture.admin.call(routes.revokeCertificate, { params });
  assert.equal(bodyOf(revoked).instance, node.id);
  await Promise.all(ended);

  const late = connectTls({ ...options, session: ticket });
  late.write(ask);
  const reply = String(await new Promise((resolve) => late.once('data', resolve)));
  assert.equal(late.isSessionReused(), true);
  assert.match(reply, /^HTTP\/1.1 401(.|\r\n)*CERTIFICATE_REVOKED/);
  late.destroy();
});
