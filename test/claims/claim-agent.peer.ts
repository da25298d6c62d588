// The agent's side of the claim flow, against a real coordinator: a machine that restarts, loses its disk
// or is late, a code that runs out, a denial; and what the recovery hangs on.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { dropClaim } from '../../agent/identity/claim-file.ts';
import { ensureEnrolled, recallInstance } from '../../agent/identity/ensure-enrolled.ts';
import { eventually } from '../agent/agent-fixture.ts';
import { FACTS, type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import { approve, deny, fastClock, makeNode, sourceOf, startMachine } from './claim-fixture.ts';

let fixture: Fixture;
let dirs: string;
before(async () => {
  fixture = await startFixture();
  dirs = await mkdtemp(join(tmpdir(), 'billet-claim-'));
});
after(async () => {
  await fixture.close();
  await rm(dirs, { recursive: true });
});

/** A certificate's 30 days, and the 90 after. */
const LATE_MS = 121 * 86_400_000;
const never = new AbortController().signal;
const start = (dir: string) => startMachine(fixture, dir);

test('a machine that knows only its coordinator shows a code, waits, and is enrolled', async () => {
  const dir = join(dirs, 'first');
  const run = start(dir);
  const code = await run.code();
  assert.deepEqual((await readdir(dir)).sort(), ['claim.json', 'key.pem']);
  for (const name of await readdir(dir))
    assert.equal((await stat(join(dir, name))).mode & 0o777, 0o600, name);
  const node = await makeNode(fixture, 'agent-claimed');
  const { decision } = await approve(fixture, code, node);
  const { how, credentials } = await run.enrolled;
  assert.deepEqual([how, credentials.identity.instance], ['claimed', decision?.instance]);
  assert.equal(run.shown.length, 1, 'one code, shown once');
  assert.match(run.shown[0]?.key ?? '', /^sha256:/);
  // Nothing of the claim is left; the next start needs nobody.
  assert.deepEqual((await readdir(dir)).sort(), ['enrollment.json', 'key.pem']);
  const again = start(dir);
  assert.equal((await again.enrolled).how, 'survived');
  assert.deepEqual(again.shown, []);
  const recalled = await recallInstance(sourceOf(fixture), dir);
  assert.equal(recalled.instance, decision?.instance);
});

test('who cannot show a code does not ask', async () => {
  const request = {
    identity: sourceOf(fixture),
    facts: FACTS,
    dir: join(dirs, 'blind'),
    clock: fastClock(fixture),
  };
  await assert.rejects(ensureEnrolled(request, never), {
    code: 'IDENTITY_MISSING',
    hint: /billet token create/,
  });
});

test('a machine that restarts while it waits goes on with the same code', async () => {
  const dir = join(dirs, 'restarted');
  const first = start(dir);
  const code = await first.code();
  await first.kill();
  const node = await makeNode(fixture, 'agent-restarted');
  await approve(fixture, code, node);
  // It was approved while it was off.
  assert.equal((await start(dir).enrolled).how, 'claimed');
});

test('without the claim on disk that restart would strand the approval', async () => {
  const dir = join(dirs, 'forgetful');
  const first = start(dir);
  const code = await first.code();
  await first.kill();
  await dropClaim(dir);
  await approve(fixture, code, await makeNode(fixture, 'agent-forgetful'));
  const second = start(dir);
  assert.notEqual(await second.code(), code);
  await second.kill();
});

test('a machine that lost its disk gets another code, and the same place by it', async () => {
  const dir = join(dirs, 'lost');
  const first = start(dir);
  const node = await makeNode(fixture, 'agent-lost');
  const { decision } = await approve(fixture, await first.code(), node);
  await first.enrolled;
  await rm(dir, { recursive: true });
  const second = start(dir);
  const code = await second.code();
  await assert.rejects(approve(fixture, code, node), { code: 'CONFLICT', hint: /--replace/ });
  await approve(fixture, code, node, true);
  const { credentials } = await second.enrolled;
  assert.equal(credentials.identity.instance, decision?.instance);
});

test('a certificate that ran out too long ago to be renewed is one more way to a claim', async () => {
  const dir = join(dirs, 'too-late');
  const first = start(dir);
  const node = await makeNode(fixture, 'agent-late');
  await approve(fixture, await first.code(), node);
  const { credentials } = await first.enrolled;
  fixture.clock.advance(LATE_MS);
  const second = start(dir);
  await approve(fixture, await second.code(), node, true);
  const late = await second.enrolled;
  assert.deepEqual(late.credentials.identity, credentials.identity);
  assert.notEqual(late.credentials.certificate, credentials.certificate);
  fixture.clock.advance(-LATE_MS);
});

test('a code that runs out is followed by another, and a denial is said', async () => {
  const run = start(join(dirs, 'late'));
  const code = await run.code();
  fixture.clock.advance(15 * 60_000);
  await eventually(run.code, (now) => now !== code);
  await deny(fixture, await run.code());
  await assert.rejects(run.enrolled, { code: 'CLAIM_DENIED', hint: /operator/ });
  await assert.rejects(start(join(dirs, 'late')).enrolled, { code: 'CLAIM_DENIED' });
});
