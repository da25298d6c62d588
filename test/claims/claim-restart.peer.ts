// A coordinator that restarts while a machine waits to be claimed: what it kept, what hangs on that, and
// what nobody gets to see.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Enrolled } from '../../agent/identity/ensure-enrolled.ts';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Store } from '../../coordinator/store/store.ts';
import { systemClock } from '../../shared/clock.ts';
import { BilletError } from '../../shared/errors.ts';
import { type Fixture, startFixture } from '../coordinator/coordinator-fixture.ts';
import { approve, makeNode, startMachine } from './claim-fixture.ts';

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

const never = new AbortController().signal;
const start = (dir: string) => startMachine(fixture, dir);

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
