// The agent's side of the claim flow, against a real coordinator: restarts of either in the middle, a
// code that runs out, a denial; and that each recovery hangs on the record it is said to hang on.

import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ShownClaim } from '../agent/identity/claim.ts';
import { dropClaim } from '../agent/identity/claim-file.ts';
import {
  type Enrolled,
  ensureEnrolled,
  recallInstance,
} from '../agent/identity/ensure-enrolled.ts';
import { silentLog } from '../coordinator/log.ts';
import { startCoordinator } from '../coordinator/main.ts';
import { sqliteStore } from '../coordinator/store/sqlite.ts';
import type { Store } from '../coordinator/store/store.ts';
import { type Clock, systemClock } from '../shared/clock.ts';
import { BilletError } from '../shared/errors.ts';
import { SourceIdentity } from '../shared/schema/identity.ts';
import { eventually } from './agent-fixture.ts';
import { approve, deny, makeNode } from './claim-fixture.ts';
import { FACTS, type Fixture, startFixture } from './coordinator-fixture.ts';

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

/** Polls a hundred times as often. */
const clock: Clock = {
  ...systemClock,
  now: () => fixture.clock.now(),
  sleep: (ms, signal) => systemClock.sleep(ms / 100, signal),
};
/** A certificate's 30 days, and the 90 after. */
const LATE_MS = 121 * 86_400_000;
const never = new AbortController().signal;
const source = (): SourceIdentity =>
  SourceIdentity.parse({
    coordinator: fixture.coordinator.url,
    ca: fixture.coordinator.caFingerprint,
  });

interface Run {
  readonly shown: ShownClaim[];
  readonly enrolled: Promise<Enrolled>;
  code(): Promise<string>;
  /** Power off. */
  kill(): Promise<void>;
}

/** A machine that starts with what lies in `dir`. */
function start(dir: string): Run {
  const shown: ShownClaim[] = [];
  const off = new AbortController();
  const onClaim = (claim: ShownClaim) => shown.push(claim);
  const request = { identity: source(), facts: FACTS, dir, clock, onClaim };
  const enrolled = ensureEnrolled(request, off.signal);
  enrolled.catch(() => undefined);
  return {
    shown,
    enrolled,
    async code() {
      const seen = await eventually(
        () => shown.at(-1)?.code ?? '',
        (code) => code !== '',
      );
      return seen;
    },
    async kill() {
      off.abort(new Error('power off'));
      await assert.rejects(enrolled);
    },
  };
}

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
  const recalled = await recallInstance(source(), dir);
  assert.equal(recalled.instance, decision?.instance);
});

test('who cannot show a code does not ask', async () => {
  const request = { identity: source(), facts: FACTS, dir: join(dirs, 'blind'), clock };
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

/** Stops the coordinator, and starts it again on its state and port. */
async function restart(openStore?: (path: string) => Store): Promise<void> {
  const { port } = fixture.coordinator;
  await fixture.coordinator.stop();
  const listen = `127.0.0.1:${port}`;
  const config = { stateDir: fixture.stateDir, listen, bootListen: null, stopSeconds: 1 };
  const options = { clock: fixture.clock, log: silentLog };
  fixture.coordinator = await startCoordinator(
    config,
    openStore === undefined ? options : { ...options, openStore },
  );
}

/** As the boot does: what is away is tried again. */
async function untilEnrolled(dir: string, shown: string[]): Promise<Enrolled> {
  for (;;) {
    const run = start(dir);
    try {
      return await run.enrolled;
    } catch (error) {
      if (!(error instanceof BilletError && error.retryable)) throw error;
      await systemClock.sleep(20, never);
    } finally {
      shown.push(...run.shown.map(({ code }) => code));
    }
  }
}

test('a coordinator that restarts knows the claim that waits, and the approval that nobody fetched', async () => {
  const dir = join(dirs, 'restart-coordinator');
  const shown: string[] = [];
  const first = start(dir);
  const code = await first.code();
  await first.kill();
  await restart();
  await approve(fixture, code, await makeNode(fixture, 'agent-coordinator'));
  const enrolled = untilEnrolled(dir, shown);
  await restart();
  assert.equal((await enrolled).how, 'claimed');
  assert.ok(
    shown.every((each) => each === code),
    shown.join(),
  );
});

test('a coordinator that did not keep the claim would know nothing of it', async () => {
  const forgetful = (path: string): Store => {
    const store = sqliteStore({ path });
    return {
      ...store,
      commit: (conditions, writes) => {
        const kept = writes.filter(({ key }) => !key.startsWith('claims/'));
        return store.commit(conditions, kept);
      },
    };
  };
  await restart(forgetful);
  const run = start(join(dirs, 'unkept'));
  const code = await run.code();
  await run.kill();
  await restart();
  const node = await makeNode(fixture, 'agent-unkept');
  await assert.rejects(approve(fixture, code, node), { code: 'CLAIM_UNKNOWN' });
});

test('the secret of a claim is in no message, and in no file but its own', async () => {
  const dir = join(dirs, 'quiet');
  const run = start(dir);
  await run.code();
  const { secret } = JSON.parse(await readFile(join(dir, 'claim.json'), 'utf8'));
  await fixture.coordinator.stop();
  const error = await run.enrolled.then(
    () => null,
    (reason: Error) => reason,
  );
  assert.ok(error instanceof BilletError && error.retryable);
  const told = [error, error.cause].map((each) => `${each}${JSON.stringify(each)}`).join();
  assert.ok(!told.includes(secret) && !JSON.stringify(run.shown).includes(secret));
  await restart();
});
