// Thousands of machines that ask to be let in: those that nobody registered cost a bounded part of the
// store and of memory, and nothing each time they ask; those that are expected come in all the same.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { openClaim, pollClaim } from '../../coordinator/claims/claim-writes.ts';
import { claimLimits } from '../../coordinator/claims/limits.ts';
import { INDEX } from '../../coordinator/claims/records.ts';
import { lookAgain } from '../../coordinator/claims/registered/admit.ts';
import { APPROVED_MAX, OPEN_MAX, OPEN_MS } from '../../coordinator/claims/rules.ts';
import { createNode } from '../../coordinator/nodes/node-writes.ts';
import { records as openRecords } from '../../coordinator/records.ts';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import { IN_MEMORY } from '../../coordinator/store/sqlite-file.ts';
import { systemClock } from '../../shared/clock.ts';
import { createCsr } from '../../shared/csr.ts';
import { BilletError } from '../../shared/errors.ts';
import { Facts } from '../../shared/schema/facts.ts';
import { NodeName } from '../../shared/schema/ids.ts';
import { NodeSpec } from '../../shared/schema/records.ts';
import { FACTS, newKey, raw, startFixture } from '../coordinator/coordinator-fixture.ts';
import { newMachine, newSecret } from './claim-fixture.ts';

const SETTINGS = { autoApprove: true };

function setUp(t: TestContext) {
  const store = sqliteStore({ path: IN_MEMORY });
  t.after(() => store.close());
  let now = 1_700_000_000_000;
  const records = openRecords(store, { ...systemClock, now: () => now });
  const ask = (serial: string, secret = newSecret()) => {
    const facts = Facts.parse({ ...FACTS, macs: [], dmi: { serial } });
    const wish = { secret, csr: createCsr(newKey(), null), facts, address: '192.0.2.1' };
    return openClaim(records, wish, SETTINGS);
  };
  const register = (serial: string) =>
    createNode(records, 'operator:ann', {
      name: NodeName.parse(serial.toLowerCase()),
      spec: NodeSpec.parse({ serial }),
    });
  const revision = async () => (await store.get('claims')).revision;
  const indexBytes = async () =>
    (await store.get(records.claimIndex.key(INDEX))).entry?.value.length ?? 0;
  const pass = (ms: number) => {
    now += ms;
  };
  return { records, ask, register, revision, indexBytes, pass };
}

/** 'open', 'approved', or the code of the refusal. */
const stateOf = (asked: Promise<{ readonly state: string }>): Promise<string> =>
  asked.then(
    ({ state }) => state,
    (error) => (error instanceof BilletError ? error.code : String(error)),
  );

test('three thousand unknown machines fill a bounded part of the store, and polls write nothing', async (t) => {
  const { records, ask, revision, indexBytes, pass } = setUp(t);
  const answers = new Map<string, number>();
  const open: { readonly code: Parameters<typeof lookAgain>[1]; readonly secret: string }[] = [];
  for (let at = 0; at < 3_000; at += 1) {
    const secret = newSecret();
    const asked = ask(`UNKNOWN-${at}`, secret);
    const state = await stateOf(asked);
    answers.set(state, (answers.get(state) ?? 0) + 1);
    if (state === 'open') open.push({ code: (await asked).code, secret });
  }
  assert.deepEqual(
    [...answers],
    [
      ['open', OPEN_MAX],
      ['TOO_MANY_REQUESTS', 3_000 - OPEN_MAX],
    ],
  );
  assert.equal((await Array.fromAsync(records.claims.all())).length, OPEN_MAX);
  assert.ok((await indexBytes()) < 128 * 1024);
  const before = await revision();
  for (let round = 0; round < 3; round += 1)
    for (const claim of open) {
      await pollClaim(records, claim);
      assert.equal((await lookAgain(records, claim.code, SETTINGS)).state, 'open');
    }
  assert.equal(await revision(), before, 'nothing is written for a machine that waits');
  // Those that were refused get their turn when the places are free again.
  pass(OPEN_MS);
  assert.equal((await ask('UNKNOWN-2999')).state, 'open');
});

test('machines that are expected come in while unknown ones fill every place', async (t) => {
  const { records, ask, register, indexBytes } = setUp(t);
  for (let at = 0; at < OPEN_MAX; at += 1) await ask(`UNKNOWN-${at}`);
  for (let at = 0; at < 400; at += 1) {
    await register(`KNOWN-${at}`);
    assert.equal((await ask(`KNOWN-${at}`)).state, 'approved');
  }
  assert.equal(await stateOf(ask('UNKNOWN-LATE')), 'TOO_MANY_REQUESTS');
  const { claims } = (await records.claimIndex.get(INDEX))?.record ?? { claims: [] };
  assert.ok(claims.length <= OPEN_MAX + APPROVED_MAX, `${claims.length}`);
  assert.ok((await indexBytes()) < 256 * 1024);
});

test('a rack that comes up at once comes in at once: nobody is sent away for the others', async () => {
  const fixture = await startFixture();
  try {
    const machines = Array.from({ length: 100 }, (_, at) => `RACK-${at}`);
    const headers = { authorization: `Bearer ${fixture.credential}` };
    for (const serial of machines) {
      const body = JSON.stringify({ name: serial.toLowerCase(), spec: { serial } });
      await raw(fixture, '/v1/nodes', { method: 'POST', headers, body });
    }
    const states = await Promise.all(
      machines.map((serial) => {
        const facts = Facts.parse({ ...FACTS, macs: [], dmi: { serial } });
        return stateOf(newMachine(fixture).open({ facts }));
      }),
    );
    assert.deepEqual(new Set(states), new Set(['approved']));
  } finally {
    await fixture.close();
  }
});

test('what is remembered of who asked is bounded, too', () => {
  let now = 0;
  const limits = claimLimits({ ...systemClock, monotonic: () => now }, SETTINGS);
  for (let at = 0; at < 50_000; at += 1) {
    limits.looked(`code ${at}`);
    now += 1;
  }
  // The oldest are forgotten, and may be looked at again; the newest are known.
  assert.deepEqual([limits.mayLook('code 0'), limits.mayLook('code 49999')], [true, false]);
});
