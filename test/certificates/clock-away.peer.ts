// A certificate that runs out while the coordinator is away: the agent goes on with what it has, and
// is back by its key when the coordinator is; too late, it asks for a token.

import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { askStatus } from '../../agent/ask.ts';
import { ensureEnrolled } from '../../agent/identity/ensure-enrolled.ts';
import { keyPath } from '../../agent/identity/key.ts';
import { testModule } from '../../agent/reconcile/testing.ts';
import { routes } from '../../shared/routes/table.ts';
import {
  eventually,
  identityOf,
  removeDir,
  restartCoordinator,
  startAgent,
} from '../agent/agent-fixture.ts';
import { credentialsIn } from '../agent/link-fixture.ts';
import { bodyOf, FACTS, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';

let fixture: Fixture;
const DAY_MS = 86_400_000;

before(async () => {
  fixture = await startFixture({ heartbeatSeconds: 1 });
});
after(() => fixture.close());

test('a node whose certificate ran out without a coordinator runs on, and renews when there is one', async () => {
  // TLS goes by the time of this machine: so it is the enrollment that lies in the past.
  fixture.clock.advance(-31 * DAY_MS);
  const web = testModule('web');
  const id = await fixture.instance('away-1', { modules: [web.ref] });
  const show = async () => bodyOf(await fixture.admin.call(routes.getInstance, { params: { id } }));
  const agent = await startAgent(fixture, id, { modules: [web], random: () => 0 });
  try {
    await eventually(show, ({ confirmed }) => confirmed === 1);
    const state = join(agent.dir, 'state');
    const before = (await credentialsIn(state)).certificate;
    await fixture.coordinator.stop();
    fixture.clock.advance(31 * DAY_MS);
    const alone = await eventually(
      () => askStatus(agent.runDir, true).then((text) => JSON.parse(text)),
      ({ link }) => link.problem !== null,
    );
    assert.equal(alone.phase, 'ready');
    assert.match(await askStatus(agent.runDir, false), /module +web 1\.0\.1 attached/);

    await restartCoordinator(fixture, 1);
    await eventually(
      async () => (await credentialsIn(state)).certificate !== before,
      (renewed) => renewed,
    );
    const back = await eventually(show, ({ connected }) => connected);
    assert.equal(back.heartbeat?.phase, 'ready');
    assert.ok(agent.lines.some((line) => line.includes('the certificate was renewed')));
  } finally {
    await agent.stop();
    await removeDir(agent.dir);
  }
});

test('91 days after its end a certificate renews nothing: the hint names the way, and a token goes it', async () => {
  const id = await fixture.instance('late-1');
  const { token, ...keyOnly } = await identityOf(fixture, id);
  const dir = join(fixture.stateDir, 'late-1');
  const request = { facts: FACTS, dir, clock: fixture.clock };
  const never = new AbortController().signal;
  await ensureEnrolled({ ...request, identity: { ...keyOnly, token } }, never);
  const before = await credentialsIn(dir);
  fixture.clock.advance(121 * DAY_MS);
  await assert.rejects(ensureEnrolled({ ...request, identity: keyOnly }, never), {
    code: 'CERTIFICATE_EXPIRED',
    hint: 'too late to renew: an operator can order a boot, which gives the node a fresh token',
  });
  assert.deepEqual(await credentialsIn(dir), before, 'nothing is half done');
  const fresh = await identityOf(fixture, id);
  assert.equal((await ensureEnrolled({ ...request, identity: fresh }, never)).how, 'enrolled');
  fixture.clock.advance(-121 * DAY_MS);
});

test('it is the kept key that brings a node back: without it, it needs a token or an operator', async () => {
  const id = await fixture.instance('keyless-1');
  const { token, ...keyOnly } = await identityOf(fixture, id);
  const dir = join(fixture.stateDir, 'keyless-1');
  const request = { facts: FACTS, dir, clock: fixture.clock };
  const never = new AbortController().signal;
  await ensureEnrolled({ ...request, identity: { ...keyOnly, token } }, never);
  fixture.clock.advance(31 * DAY_MS);
  assert.equal((await ensureEnrolled({ ...request, identity: keyOnly }, never)).how, 'renewed');
  await rm(keyPath(dir));
  await assert.rejects(ensureEnrolled({ ...request, identity: keyOnly }, never), {
    code: 'IDENTITY_MISSING',
    hint: /token/,
  });
  fixture.clock.advance(-31 * DAY_MS);
});
