// Clocks that are apart or jump, on a real coordinator: what is judged by whose clock, and that a
// mended clock finds everything where it was. Machines with wrong clocks are in clock.peer.ts.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { renewal } from '../../agent/identity/renewal.ts';
import { CLOCK_SKEW_MS } from '../../shared/certificate.ts';
import { routes } from '../../shared/routes/table.ts';
import { eventually, identityOf } from '../agent/agent-fixture.ts';
import { credentialsIn, startLink } from '../agent/link-fixture.ts';
import {
  BOOT_A,
  BOOT_B,
  bodyOf,
  csrOf,
  FACTS,
  type Fixture,
  heartbeatOf,
  startFixture,
  type TestNode,
} from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
const never = new AbortController().signal;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

before(async () => {
  fixture = await startFixture({ heartbeatSeconds: 1 });
});
after(() => fixture.close());

const beat = ({ client }: TestNode, bootId = BOOT_A) =>
  client.call(routes.heartbeat, { body: heartbeatOf({ bootId }) });
const renew = ({ client, key, id }: TestNode) =>
  client.call(routes.renewCertificate, { body: { csr: csrOf(key, id) } });

/** A task leased, held and reported. */
async function work(node: TestNode): Promise<string> {
  const spec = { kind: 'collect-logs', lines: 1 } as const;
  await fixture.admin.call(routes.createTask, { body: { instance: node.id, spec } });
  const [task] = bodyOf(await node.client.call(routes.leaseTasks, { body: {} })).tasks;
  assert.ok(task);
  const [params, { epoch }] = [{ id: task.id }, task];
  // The node counts seconds from when it was told: no time of day is compared.
  assert.equal(task.leaseSeconds, 60);
  await node.client.call(routes.renewTask, { params, body: { epoch } });
  const body = { epoch, result: { outcome: 'succeeded' } as const };
  return bodyOf(await node.client.call(routes.reportTask, { params, body })).state;
}

for (const hours of [1, -1])
  test(`with clocks an hour apart (${hours}) a node enrolls, works, renews and comes back`, async () => {
    fixture.clock.advance(hours * HOUR_MS);
    try {
      const name = hours > 0 ? 'behind-1' : 'ahead-1';
      const identity = await identityOf(fixture, await fixture.instance(name));
      const dir = join(fixture.stateDir, name);
      const request = { identity, facts: FACTS, dir, clock: fixture.clock };
      assert.equal((await ensureEnrolled(request, never)).how, 'enrolled');
      const { validFromDate } = new X509Certificate((await credentialsIn(dir)).certificate);
      const begins = validFromDate.getTime() - (fixture.clock.now() - hours * HOUR_MS);
      assert.ok(begins <= 0, 'it has begun for the node, however far it is behind');
      const node = await fixture.node(`${name}-work`);
      await beat(node);
      assert.equal(await work(node), 'succeeded');
      assert.ok(await renew(node));
    } finally {
      fixture.clock.advance(-hours * HOUR_MS);
    }
  });

test('the life of a token is judged by the coordinator alone, and one made ahead of time is refused', async () => {
  const enrollWith = async (name: string) => {
    const identity = await identityOf(fixture, await fixture.instance(name));
    const dir = join(fixture.stateDir, name);
    return () => ensureEnrolled({ identity, facts: FACTS, dir, clock: fixture.clock }, never);
  };
  fixture.clock.advance(2 * DAY_MS);
  const early = await enrollWith('token-early');
  fixture.clock.advance(-2 * DAY_MS);
  await assert.rejects(early(), {
    code: 'TOKEN_EXPIRED',
    message: /the clock here was ahead/,
    hint: /billet token create/,
  });
  const late = await enrollWith('token-late');
  fixture.clock.advance(25 * HOUR_MS);
  await assert.rejects(late(), { code: 'TOKEN_EXPIRED', hint: /billet token create/ });
  // Nothing was used up: the mended clock takes it.
  fixture.clock.advance(-25 * HOUR_MS);
  assert.equal((await late()).how, 'enrolled');
});

test('a coordinator that was months ahead strands nobody: nodes renew, and are taken when it is mended', async () => {
  const node = await fixture.node('jump-1');
  const revoked = await fixture.node('jump-2');
  const serial = bodyOf(
    await fixture.admin.call(routes.getInstance, { params: { id: revoked.id } }),
  ).certificate?.serial;
  assert.ok(serial);
  await fixture.admin.call(routes.revokeCertificate, { params: { serial } });

  fixture.clock.advance(60 * DAY_MS);
  await assert.rejects(beat(node), { code: 'CERTIFICATE_EXPIRED', hint: /renew it/ });
  const fresh = bodyOf(await renew(node)).certificate;
  const ahead = { ...node, ...fixture.client({ key: node.key.pem, certificate: fresh }) };
  await beat(ahead);
  fixture.clock.advance(-60 * DAY_MS);
  const { validFromDate } = new X509Certificate(fresh);
  assert.ok(validFromDate.getTime() > fixture.clock.now() + 50 * DAY_MS);
  await beat(ahead);
  await beat(node);
  await assert.rejects(beat(revoked), { code: 'CERTIFICATE_REVOKED' });
  await assert.rejects(renew(revoked), { code: 'CERTIFICATE_REVOKED' });
});

test('an agent renews when the coordinator says that its certificate has run out, whatever its own clock says', async () => {
  const id = await fixture.instance('told-1');
  const dir = join(fixture.stateDir, 'told-1');
  const identity = await identityOf(fixture, id);
  const agent = await startLink({ identity, dir });
  try {
    const { certificate } = await credentialsIn(dir);
    await eventually(
      () => agent.link.state().lastReplyAt,
      (at) => at !== null,
    );
    fixture.clock.advance(31 * DAY_MS);
    agent.link.pulse();
    await eventually(
      async () => (await credentialsIn(dir)).certificate !== certificate,
      (renewed) => renewed,
    );
    await eventually(
      () => agent.link.state().problem,
      (problem) => problem === null,
    );
  } finally {
    await agent.stop();
    fixture.clock.advance(-31 * DAY_MS);
  }
});

test('that it would wait for days by its own clock is what the demand is for', async () => {
  const node = await fixture.node('undemanded-1');
  const stop = new AbortController();
  let slept = 0;
  const loop = renewal({
    random: () => 0,
    clock: {
      ...fixture.clock,
      async sleep(ms) {
        slept += ms;
        if (slept > 2 * HOUR_MS) stop.abort(new Error('still waiting'));
        stop.signal.throwIfAborted();
      },
    },
    current: () => ({ certificate: node.certificate }) as never,
    renew: () => assert.fail('nobody asked for it'),
    onFailure: () => undefined,
  });
  await assert.rejects(loop.run(stop.signal), /still waiting/);
});

test('a jump ends a lease early, and its epoch keeps the late holder from reporting', async () => {
  const node = await fixture.node('lease-1');
  await beat(node);
  const body = { instance: node.id, spec: { kind: 'collect-logs', lines: 1 } as const };
  const { id } = bodyOf(await fixture.admin.call(routes.createTask, { body }));
  const lease = async () =>
    bodyOf(await node.client.call(routes.leaseTasks, { body: {} })).tasks[0]?.epoch;
  const hold = (epoch: number) =>
    node.client.call(routes.renewTask, { params: { id }, body: { epoch } });
  assert.equal(await lease(), 1);
  fixture.clock.advance(HOUR_MS);
  try {
    // Nobody took it over: whoever holds it goes on.
    assert.equal(bodyOf(await hold(1)).cancelled, false);
    fixture.clock.advance(HOUR_MS);
    assert.equal(await lease(), 2);
    await assert.rejects(hold(1), { code: 'LEASE_LOST', hint: /drop the result/ });
    fixture.clock.advance(-2 * HOUR_MS);
    assert.equal(await lease(), undefined, 'and a clock that goes back gives it to nobody else');
    assert.ok(await hold(2));
  } finally {
    await beat(node, BOOT_B);
  }
});

test('certificates begin early enough for a clock an hour behind, with half an hour to spare', () => {
  assert.equal(CLOCK_SKEW_MS, 1.5 * HOUR_MS);
});
