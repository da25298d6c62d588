// The CA is replaced under a running fleet: nodes that are on, off, and off for too long, contexts of
// operators, and an old CA that goes when nobody needs it. Real coordinator, real agents, real TLS.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { billet } from '../../cli/testing.ts';
import { CODES } from '../../shared/error-codes.ts';
import { routes } from '../../shared/routes/table.ts';
import type { Identity } from '../../shared/schema/identity.ts';
import type { InstanceId } from '../../shared/schema/ids.ts';
import { CaState } from '../../shared/schema/records.ts';
import { issuerIn, readBundle } from '../../shared/trust-bundle.ts';
import { eventually, identityOf } from '../agent/agent-fixture.ts';
import { credentialsIn, type LinkedAgent, startLink } from '../agent/link-fixture.ts';
import { bodyOf, FACTS, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
let context: string;
const agents: LinkedAgent[] = [];
const never = new AbortController().signal;
const DAY_MS = 86_400_000;

before(async () => {
  fixture = await startFixture({ heartbeatSeconds: 1 });
  context = join(fixture.stateDir, 'ops.json');
  await writeFile(context, await readFile(fixture.coordinator.adminContextPath), { mode: 0o600 });
});
after(() => fixture.close());
/** Each test leaves one CA and no agent. */
afterEach(async () => {
  for (const agent of agents.splice(0)) await agent.stop();
  assert.equal((await ca('retire', '--force')).code, 0);
});

const dirOf = (name: string) => join(fixture.stateDir, `agent-${name}`);

async function start(identity: Identity, name: string): Promise<LinkedAgent> {
  const agent = await startLink({ identity, dir: dirOf(name) });
  agents.push(agent);
  return agent;
}

/** As an operator has it, with a context from before: exit code, and what was printed. */
const ca = (...args: string[]) => billet(['ca', ...args, '--json', '--context', context]);
async function state(): Promise<CaState> {
  const { code, stdout, stderr } = await ca('show');
  assert.equal(code, 0, stderr);
  return CaState.parse(JSON.parse(stdout));
}
const contextCas = async () => readBundle(JSON.parse(await readFile(context, 'utf8')).ca).length;

/** The CA that issued the certificate on that agent's disk, and how many CAs it trusts. */
async function trustOf(name: string) {
  const { certificate, ca: bundle } = await credentialsIn(dirOf(name));
  const known = readBundle(bundle);
  const issuer = issuerIn(known, new X509Certificate(certificate));
  return { issuer: issuer?.fingerprint, trusts: known.length };
}

const isConnected = async (id: InstanceId) =>
  bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } })).connected;

test('a fleet moves to a new CA: who is on by itself, who was off when it comes back', async () => {
  const [on, off] = [await fixture.instance('on-1'), await fixture.instance('off-1')];
  const offIdentity = await identityOf(fixture, off);
  await start(await identityOf(fixture, on), 'on');
  await (await start(offIdentity, 'off')).stop();
  await eventually(() => isConnected(on), Boolean);
  const [old] = (await state()).authorities;
  assert.ok(old);

  assert.equal((await ca('rotate')).code, 0);
  const [issuing, previous] = (await state()).authorities;
  assert.ok(issuing && previous);
  assert.equal(previous.fingerprint, old.fingerprint);
  assert.notEqual(issuing.fingerprint, old.fingerprint);
  assert.equal(await contextCas(), 2, 'the context follows');
  const again = await ca('rotate');
  assert.match(again.stderr, /"CONFLICT".*billet ca retire/);

  const moved = { issuer: issuing.fingerprint, trusts: 2 };
  const is = (wanted: object) => (found: object) =>
    JSON.stringify(found) === JSON.stringify(wanted);
  await eventually(() => trustOf('on'), is(moved));
  const waiting = await eventually(state, ({ waitingCount }) => waitingCount === 1);
  assert.equal(waiting.waiting[0]?.node, 'off-1');
  const refused = await ca('retire');
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /"CONFLICT".*1 instance still depends.*off-1.*--force/);

  // It trusts the old CA alone, and was booted with its fingerprint.
  assert.deepEqual(await trustOf('off'), { issuer: old.fingerprint, trusts: 1 });
  assert.equal((await start(offIdentity, 'off')).how, 'survived');
  await eventually(() => trustOf('off'), is(moved));
  await eventually(state, ({ waitingCount }) => waitingCount === 0);

  assert.equal((await ca('retire')).code, 0);
  assert.deepEqual(
    (await state()).authorities.map(({ fingerprint }) => fingerprint),
    [issuing.fingerprint],
  );
  assert.equal(existsSync(join(fixture.stateDir, 'ca.previous')), false);
  assert.equal(await contextCas(), 1, 'and drops the old one');
  assert.equal((await ca('retire')).code, 0, 'again is the same');
  for (const id of [on, off]) await eventually(() => isConnected(id), Boolean);

  // What was written before the rotation serves no more, and says so.
  const late = await fixture.instance('late-1');
  const request = { facts: FACTS, dir: dirOf('late'), clock: fixture.clock };
  const outdated = { ...(await identityOf(fixture, late)), ca: old.fingerprint };
  await assert.rejects(ensureEnrolled({ ...request, identity: outdated }, never), {
    code: 'CA_PIN_MISMATCH',
    hint: /old CA was retired, boot with its new fingerprint/,
  });
  const current = { ...outdated, ca: issuing.fingerprint };
  assert.equal((await ensureEnrolled({ ...request, identity: current }, never)).how, 'enrolled');
  assert.equal(CODES.CA_PIN_MISMATCH.retry, false);
});

test('booted with the new fingerprint, a machine that knows only the old CA comes back by its key', async () => {
  const id = await fixture.instance('pin-1');
  const { token: _, ...identity } = await identityOf(fixture, id);
  await (await start(await identityOf(fixture, id), 'pin')).stop();
  assert.equal((await ca('rotate')).code, 0);
  const [issuing] = (await state()).authorities;
  assert.ok(issuing);
  const booted = await start({ ...identity, ca: issuing.fingerprint }, 'pin');
  assert.equal(booted.how, 'renewed');
  assert.deepEqual(await trustOf('pin'), { issuer: issuing.fingerprint, trusts: 2 });
  await eventually(state, ({ waiting }) => !waiting.some(({ node }) => node === 'pin-1'));
});

test('forced out, a node is refused with a hint, waits for an order, and a token lets it in', async () => {
  const id = await fixture.instance('forced-1', { macs: ['52:54:00:00:00:77'] });
  const own = await identityOf(fixture, id);
  await (await start(own, 'forced')).stop();
  assert.equal((await ca('rotate')).code, 0);
  assert.match((await ca('retire')).stderr, /forced-1/);
  assert.equal((await ca('retire', '--force')).code, 0);
  const [issuing] = (await state()).authorities;
  assert.ok(issuing);

  const { token: _, ...keyOnly } = own;
  const request = { facts: FACTS, dir: dirOf('forced'), clock: fixture.clock };
  const off = await start(keyOnly, 'forced');
  await eventually(
    () => off.lines.join(),
    (text) => /self-signed certificate in certificate chain/.test(text),
  );
  await off.stop();
  const pinned = { ...keyOnly, ca: issuing.fingerprint };
  await assert.rejects(ensureEnrolled({ ...request, identity: pinned }, never), {
    code: 'CERTIFICATE_INVALID',
    hint: /fresh bootstrap token/,
  });
  const script = await fetch(`${fixture.coordinator.bootUrl}/boot/node.ipxe?mac=52-54-00-00-00-77`);
  assert.match(await script.text(), /no boot image|to let it boot: billet instance boot/);
  const token = await fixture.token(id);
  const letIn = await ensureEnrolled({ ...request, identity: { ...pinned, token } }, never);
  assert.equal(letIn.how, 'enrolled');
});

test('off through the whole rotation: its key helps for 90 days after the end, then only a token', async () => {
  const names = ['month-1', 'year-1'] as const;
  const { clock } = fixture;
  const identities: Record<string, Identity> = {};
  for (const name of names) {
    const identity = await identityOf(fixture, await fixture.instance(name));
    const { token: _, ...keyOnly } = identity;
    await (await start(identity, name)).stop();
    identities[name] = keyOnly;
  }
  assert.equal((await ca('rotate')).code, 0);
  const comeBack = (name: (typeof names)[number]) =>
    ensureEnrolled(
      { identity: identities[name] as Identity, facts: FACTS, dir: dirOf(name), clock },
      never,
    );
  clock.advance(119 * DAY_MS);
  assert.ok((await state()).waiting.some(({ node }) => node === 'month-1'));
  assert.equal((await comeBack('month-1')).how, 'renewed');
  clock.advance(2 * DAY_MS);
  await assert.rejects(comeBack('year-1'), {
    code: 'CERTIFICATE_EXPIRED',
    hint: /order a boot.*fresh token/,
  });
  assert.ok(
    !(await state()).waiting.some(({ node }) => node === 'year-1'),
    'nothing left to wait for',
  );
});
