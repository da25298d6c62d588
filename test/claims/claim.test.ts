// The claim flow on the wire: a machine that nobody registered asks, an operator answers, the machine
// enrolls by its key. Real HTTPS, real store; the machine is its requests.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createCsr } from '../../shared/csr.ts';
import type { Code } from '../../shared/errors.ts';
import { routes } from '../../shared/routes/table.ts';
import { ClaimCode } from '../../shared/schema/claim.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import {
  bodyOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  newKey,
  raw,
  startFixture,
} from '../coordinator/coordinator-fixture.ts';
import { approve, deny, makeNode, newMachine, newSecret } from './claim-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await startFixture();
});
after(() => fixture.close());

const MINUTE_MS = 60_000;
const show = async (code: string) =>
  bodyOf(await fixture.admin.call(routes.getClaim, { params: { code: ClaimCode.parse(code) } }));
const instanceOf = async (id: InstanceId) =>
  bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));
const idOf = (claim: { decision: { instance: InstanceId | null } | null }): InstanceId => {
  assert.ok(claim.decision?.instance);
  return claim.decision.instance;
};

test('a machine without a token is claimed by its code, and enrolls by its key', async () => {
  const node = await makeNode(fixture, 'claimed-1');
  const machine = newMachine(fixture);
  const open = await machine.open();
  assert.deepEqual([open.state, open.instance, open.pollSeconds], ['open', null, 3]);
  // What the operator compares with the console.
  const seen = await show(open.code.toLowerCase().replace('-', ''));
  assert.equal(seen.key, machine.keyDigest);
  assert.deepEqual(seen.facts.macs, ['52:54:00:12:34:56']);
  assert.equal(seen.address, '127.0.0.1');

  const approved = await approve(fixture, open.code, node);
  const id = idOf(approved);
  assert.equal(approved.decision?.by, 'admin:admin');
  assert.deepEqual(await approve(fixture, open.code, node), approved, 'again is the same');
  assert.equal((await machine.poll(open.code)).instance, id);
  const certificate = await machine.enroll(id);
  assert.equal(await machine.enroll(id), certificate, 'a lost reply strands nobody');
  assert.match(new X509Certificate(certificate).subjectAltName ?? '', new RegExp(`/${id}$`));
  const { client } = fixture.client({ key: machine.key.pem, certificate });
  await client.call(routes.heartbeat, { body: heartbeatOf() });
  const instance = await instanceOf(id);
  assert.deepEqual([instance.state, instance.bootOrdered], ['bootstrapping', false]);

  const events = await raw(fixture, `/v1/events?subject=claim/${open.code}`, {
    headers: { authorization: `Bearer ${fixture.credential}` },
  });
  assert.deepEqual(
    [...events.text.matchAll(/"kind":"([^"]+)"/g)].map(([, kind]) => kind),
    ['claim.opened', 'claim.approved'],
  );
  // The coordinator has neither the key nor the secret, anywhere.
  const pem = machine.key.pem.split('\n')[1] ?? '';
  for (const name of await readdir(fixture.stateDir)) {
    if (!name.startsWith('store')) continue;
    const bytes = await readFile(join(fixture.stateDir, name));
    assert.ok(bytes.includes(open.code) || name !== 'store.sqlite-wal');
    for (const secret of [machine.secret, pem]) assert.ok(!bytes.includes(secret), name);
  }
});

test('an approved claim serves no other key, and nobody without its secret', async () => {
  const machine = newMachine(fixture);
  const { code } = await machine.open();
  const id = idOf(await approve(fixture, code, await makeNode(fixture, 'claimed-2')));
  const thief = newKey();
  await assert.rejects(machine.enroll(id, thief), { code: 'TOKEN_INVALID', hint: /token create/ });
  const other = newMachine(fixture, { key: thief });
  await assert.rejects(other.poll(code), { code: 'CLAIM_UNKNOWN' });
  await assert.rejects(other.enroll(id), { code: 'TOKEN_INVALID' });
  assert.equal((await instanceOf(id)).certificate, null, 'nothing is half done');
  await machine.enroll(id);
});

test('who asks again has the same code; another secret for the key ends the first claim', async () => {
  const machine = newMachine(fixture);
  const first = await machine.open();
  assert.deepEqual(await machine.open(), first);
  const second = await newMachine(fixture, { key: machine.key }).open();
  assert.notEqual(second.code, first.code);
  await assert.rejects(machine.poll(first.code), { code: 'CLAIM_UNKNOWN' });
  await assert.rejects(approve(fixture, first.code, 'claimed-1'), { code: 'CLAIM_UNKNOWN' });
});

test('a code runs out in a quarter of an hour; the machine then gets another', async () => {
  const machine = newMachine(fixture);
  const { code } = await machine.open();
  fixture.clock.advance(15 * MINUTE_MS);
  const unknown = { code: 'CLAIM_UNKNOWN', message: 'there is no such claim', hint: /console/ };
  await assert.rejects(machine.poll(code), unknown);
  await assert.rejects(approve(fixture, code, 'claimed-1'), unknown);
  const listed = bodyOf(await fixture.admin.call(routes.listClaims, {}));
  assert.ok(!listed.items.some((each) => each.code === code));
  const next = await machine.open();
  assert.notEqual(next.code, code);
  await deny(fixture, next.code);
});

test('an approval that nobody used in an hour is over, and its token with it', async () => {
  const machine = newMachine(fixture);
  const { code } = await machine.open();
  const id = idOf(await approve(fixture, code, await makeNode(fixture, 'claimed-late')));
  fixture.clock.advance(60 * MINUTE_MS);
  await assert.rejects(machine.poll(code), { code: 'CLAIM_UNKNOWN' });
  await assert.rejects(machine.enroll(id), { code: 'TOKEN_EXPIRED' });
  // The secret was a token once: a new claim needs a new one.
  await assert.rejects(machine.open(), { code: 'CLAIM_UNKNOWN' });
  const again = newMachine(fixture, { key: machine.key });
  const next = await again.open();
  assert.equal(idOf(await approve(fixture, next.code, 'claimed-late')), id, 'the instance waits');
  await again.enroll(id);
});

test('a denied key is refused for a quarter of an hour, and then may ask again', async () => {
  const machine = newMachine(fixture);
  const { code } = await machine.open();
  assert.equal((await deny(fixture, code)).state, 'denied');
  await deny(fixture, code);
  const denied = { code: 'CLAIM_DENIED', hint: /operator/ };
  await assert.rejects(machine.poll(code), denied);
  await assert.rejects(machine.open(), denied);
  await assert.rejects(newMachine(fixture, { key: machine.key }).open(), denied);
  await assert.rejects(approve(fixture, code, 'claimed-1'), {
    code: 'CONFLICT',
    message: /denied/,
  });
  fixture.clock.advance(15 * MINUTE_MS);
  assert.equal((await machine.open()).state, 'open');
});

test('an approval needs a node, and takes no place that a machine has unless it is told to', async () => {
  const old = await fixture.node('taken-1');
  const machine = newMachine(fixture);
  const { code } = await machine.open();
  await assert.rejects(approve(fixture, code, 'no-such-node'), {
    code: 'NOT_FOUND',
    hint: /billet node create no-such-node/,
  });
  await assert.rejects(approve(fixture, code, 'taken-1'), { code: 'CONFLICT', hint: /--replace/ });
  assert.equal((await show(code)).state, 'open', 'nothing is half done');
  assert.equal(idOf(await approve(fixture, code, 'taken-1', true)), old.id);
  await old.client.call(routes.heartbeat, { body: heartbeatOf() });
  await machine.enroll(old.id);
  await assert.rejects(old.client.call(routes.heartbeat, { body: heartbeatOf() }), {
    code: /CERTIFICATE_REVOKED|LINK_DOWN/,
  });
  const other = await makeNode(fixture, 'taken-2');
  await assert.rejects(approve(fixture, code, other), {
    code: 'CONFLICT',
    message: /approved for taken-1 by admin:admin/,
    hint: /instance terminate/,
  });
  await assert.rejects(deny(fixture, code), { code: 'CONFLICT' });

  // A machine that was told who it is can be nobody else.
  const told = newMachine(fixture);
  const { code: toldCode } = await told.open({ instance: old.id });
  await assert.rejects(approve(fixture, toldCode, other), { code: 'CONFLICT', hint: /instance/ });
  await approve(fixture, toldCode, 'taken-1', true);
});

test('a claim that ends with its instance serves nobody', async () => {
  const machine = newMachine(fixture);
  const { code } = await machine.open();
  const id = idOf(await approve(fixture, code, await makeNode(fixture, 'ended-1')));
  await fixture.admin.call(routes.terminateInstance, { params: { id }, body: { force: true } });
  await assert.rejects(machine.enroll(id), { code: 'TOKEN_INVALID' });
});

test('what is wrong with a claim has a code, and leaves nothing behind', async () => {
  const count = async () =>
    bodyOf(await fixture.admin.call(routes.listClaims, { query: { limit: 1000 } })).items.length;
  const before = await count();
  const machine = newMachine(fixture);
  const csr = createCsr(machine.key, null);
  const refused = (code: Code, more: object) =>
    assert.rejects(machine.open(more), { code }, JSON.stringify(more));
  await refused('CSR_REFUSED', { csr: csr.replace(/.{8}\n-----END/, 'AAAAAAA=\n-----END') });
  await refused('BODY_INVALID', { csr: 'x' });
  await refused('BODY_INVALID', { secret: 'short' });
  await refused('BODY_INVALID', { facts: {} });
  await refused('BODY_INVALID', { instance: 'web-1' });
  const headers = { authorization: `Bearer ${fixture.credential}` };
  const strict = { method: 'POST' as const, headers, body: '{"node":"claimed-1","force":true}' };
  const answer = await raw(fixture, '/v1/claims/0000-0000/approve', strict);
  assert.match(answer.text, /unknown field force/);
  const anyone = await raw(fixture, '/v1/claims');
  assert.equal(anyone.status, 401);
  assert.equal(await count(), before);
});

test('one address is slowed down, and so is who tries codes, right or wrong', async () => {
  const own = await startFixture();
  try {
    const machine = newMachine(own);
    const { code } = await machine.open();
    await makeNode(own, 'slow-1');
    // Wrong codes of an operator: the same answer for each, and none at all after five.
    for (let at = 0; at < 5; at += 1)
      await assert.rejects(approve(own, `ZZZZ-ZZZ${at}`, 'slow-1'), { code: 'CLAIM_UNKNOWN' });
    await assert.rejects(approve(own, code, 'slow-1'), { code: 'TOO_MANY_REQUESTS' });
    assert.equal((await machine.poll(code)).state, 'open');
    // Wrong secrets of machines; the right one passes all the same.
    const guesser = newMachine(own, { secret: newSecret() });
    const codes: string[] = [];
    for (let at = 0; at < 24; at += 1)
      await guesser.poll(code).catch((error) => codes.push(error.code));
    assert.deepEqual([codes[0], codes.at(-1)], ['CLAIM_UNKNOWN', 'TOO_MANY_REQUESTS']);
    assert.equal((await machine.poll(code)).state, 'open');
    for (let at = 1; at < 32; at += 1) await machine.open();
    const over = await raw(own, '/v1/claims', {
      method: 'POST',
      body: JSON.stringify({
        secret: machine.secret,
        csr: createCsr(machine.key, null),
        facts: FACTS,
      }),
    });
    assert.deepEqual([over.status, over.json.code], [429, 'TOO_MANY_REQUESTS']);
    assert.ok(Number(over.headers['retry-after']) >= 1);
  } finally {
    await own.close();
  }
});
