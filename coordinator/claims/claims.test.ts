// Claims over a real store, without a wire: the bound, what is swept, and the limits of asking.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import 'reflect-metadata';
import { Pkcs10CertificateRequestGenerator } from '@peculiar/x509';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { systemClock } from '#shared/clock.ts';
import { Facts } from '#shared/schema/facts.ts';
import { records as openRecords } from '../records.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { unknownClaim } from './answer.ts';
import { denyClaim } from './claim-answers.ts';
import { openClaim, sweepClaims } from './claim-writes.ts';
import { claimLimits } from './limits.ts';
import { INDEX } from './records.ts';
import { OPEN_MAX, OPEN_MS, RATES } from './rules.ts';

const facts = Facts.parse({
  ...{ architecture: 'x86_64', kernelRelease: '6.12.0', firmware: 'bios', secureBoot: false },
  ...{ cpuCount: 2, memoryBytes: 2 ** 31, macs: [], disks: [] },
});

async function csr(): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: algorithm,
  });
  return request.toString('pem');
}

async function setUp(t: TestContext) {
  const store = sqliteStore({ path: join(await temporaryDirectory(t), 'store.sqlite') });
  t.after(() => store.close());
  let now = 1_700_000_000_000;
  const clock = { ...systemClock, now: () => now };
  const records = openRecords(store, clock);
  const ask = async (name: string) => {
    const secret = createHash('sha256').update(name).digest('base64url');
    const wish = { secret, csr: await csr(), facts, address: '192.0.2.1' };
    return await openClaim(records, wish, { autoApprove: true });
  };
  const standing = async () => (await records.claimIndex.get(INDEX))?.record.claims ?? [];
  const count = async () => (await Array.fromAsync(records.claims.all())).length;
  const advance = (ms: number) => {
    now += ms;
  };
  return { records, ask, standing, count, advance };
}

test('so many machines may wait and not one more, however many ask at once', async (t) => {
  const { ask, standing, count, advance, records } = await setUp(t);
  const codes: string[] = [];
  for (let at = 0; at < OPEN_MAX + 8; at += 8) {
    const eight = Array.from({ length: 8 }, (_, more) => ask(`machine ${at + more}`));
    for (const done of await Promise.allSettled(eight))
      codes.push(done.status === 'fulfilled' ? 'open' : done.reason.code);
  }
  assert.equal(codes.filter((code) => code === 'open').length, OPEN_MAX);
  assert.deepEqual(new Set(codes.slice(-8)), new Set(['TOO_MANY_REQUESTS']));
  assert.deepEqual([(await standing()).length, await count()], [OPEN_MAX, OPEN_MAX]);
  // A place that an answer or time makes free is free at once, and nothing of it stays behind.
  const [first] = await standing();
  assert.ok(first);
  await denyClaim(records, 'operator:anna', first.code);
  await ask('one more');
  advance(OPEN_MS);
  await ask('after all of them');
  while ((await standing()).length > 1) await sweepClaims(records);
  assert.equal(await count(), 1);
});

test('claims are slowed down by address and altogether; wrong codes by who tries them', async () => {
  let now = 0;
  const clock = { ...systemClock, monotonic: () => now };
  const limits = claimLimits(clock, { autoApprove: true });
  const refusal = { code: 'TOO_MANY_REQUESTS', details: { retryAfterSeconds: 10 } };
  for (let at = 0; at < RATES.address.burst; at += 1) limits.admitFrom('192.0.2.1', false);
  assert.throws(() => limits.admitFrom('192.0.2.1', false), refusal);
  limits.admitFrom('192.0.2.2', false);
  now += RATES.address.intervalMs;
  limits.admitFrom('192.0.2.1', false);
  assert.throws(() => limits.admitFrom('192.0.2.1', false), { code: 'TOO_MANY_REQUESTS' });

  const everyone = claimLimits(clock, { autoApprove: true });
  for (let at = 0; at < RATES.all.burst; at += 1) everyone.admitFrom(`2001:db8::${at}`, false);
  assert.throws(() => everyone.admitFrom('2001:db8::ffff', false), /too many claims/);

  // Machines that are expected don't stand in the same queue.
  for (let at = 0; at < RATES.registered.burst; at += 1) everyone.admitFrom('192.0.2.1', true);
  assert.throws(() => everyone.admitFrom('192.0.2.1', true), { code: 'TOO_MANY_REQUESTS' });

  const wrong = () => limits.guardCode('operator:eve', () => Promise.reject(unknown));
  const unknown = unknownClaim();
  for (let at = 0; at < RATES.codes.burst; at += 1)
    await assert.rejects(wrong(), { code: 'CLAIM_UNKNOWN' });
  let looked = false;
  const right = () => {
    looked = true;
    return Promise.resolve('found');
  };
  await assert.rejects(limits.guardCode('operator:eve', right), { code: 'TOO_MANY_REQUESTS' });
  assert.equal(looked, false, 'a right code is not looked up either');
  assert.equal(await limits.guardCode('operator:anna', right), 'found');
  now += RATES.codes.intervalMs;
  assert.equal(await limits.guardCode('operator:eve', right), 'found');
});

test('a claim that an older version answered is still that answer, by a person', async (t) => {
  const { records, ask } = await setUp(t);
  const { waits: _, ...asked } = await ask('old');
  const decision = { by: 'operator:ann', at: 1, node: 'web-1', instance: null };
  for (const [old, by] of [
    [{ ...asked, decision }, 'operator:ann'],
    [asked, undefined],
  ] as const) {
    const value = JSON.stringify({ v: 1, record: old });
    await records.store.commit([], [{ kind: 'put', key: records.claims.key(asked.code), value }]);
    const found = (await records.claims.get(asked.code))?.record;
    assert.deepEqual([found?.waits, found?.decision?.by], [null, by]);
    assert.equal(found?.decision?.identifier ?? null, null);
  }
});
