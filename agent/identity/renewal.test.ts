import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Credentials } from './credentials.ts';
import { ROTATED_SPREAD_MS, renewal } from './renewal.ts';

const DAY_MS = 86_400_000;

/** Valid from now for so many days. */
function certificate(days: number): string {
  const { stdout, status } = spawnSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ed25519',
      '-noenc',
      '-subj',
      '/CN=x',
      '-days',
      String(days),
      '-keyout',
      '/dev/null',
    ],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0);
  return stdout;
}

test('a certificate is renewed at two thirds of its life, with jitter, and again until it works', async () => {
  const pem = certificate(30);
  const from = new X509Certificate(pem).validFromDate.getTime();
  let now = from;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(ms, signal) {
      signal.throwIfAborted();
      assert.ok(ms <= 2 * 3_600_000, 'the wall clock may jump: sleeps are short');
      now += ms;
    },
  };
  for (const [random, expectedDays] of [
    [0, 20],
    [1, 21.5],
  ] as const) {
    now = from;
    const stop = new AbortController();
    const attempts: number[] = [];
    const renew = async (): Promise<Credentials> => {
      attempts.push((now - from) / DAY_MS);
      if (attempts.length < 3) throw new BilletError('LINK_DOWN', 'away', { hint: '' });
      stop.abort(new Error('enough'));
      return current();
    };
    const current = () => ({ certificate: pem }) as Credentials;
    let failures = 0;
    const onFailure = () => {
      failures += 1;
    };
    const kept = renewal({ clock, random: () => random, current, renew, onFailure }).run(
      stop.signal,
    );
    await assert.rejects(kept, { message: 'enough' });
    assert.deepEqual([attempts.length, failures], [3, 2]);
    assert.ok(Math.abs((attempts[0] ?? 0) - expectedDays) < 0.01, String(attempts[0]));
    assert.ok((attempts[2] ?? 0) - expectedDays < 1);
  }
});

/** When, after its start, an agent with this certificate and this time renews; 5 times. */
async function renewals(pem: string, from: number, demand: number | null): Promise<number[]> {
  let now = from;
  const stop = new AbortController();
  const at: number[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(ms, signal) {
      signal.throwIfAborted();
      now += ms;
    },
  };
  const current = () => ({ certificate: pem }) as Credentials;
  const loop = renewal({
    clock,
    random: () => 0.5,
    current,
    async renew() {
      at.push(now - from);
      if (at.length === 5) stop.abort(new Error('enough'));
      return current();
    },
    onFailure: () => assert.fail(),
  });
  if (demand !== null) loop.demand(demand);
  await assert.rejects(loop.run(stop.signal), { message: 'enough' });
  return at;
}

test('a rotation is followed within its spread, and a certificate from the future at once: hourly at most', async () => {
  const pem = certificate(30);
  const from = new X509Certificate(pem).validFromDate.getTime();
  const [rotated = 0, next = 0] = await renewals(pem, from, ROTATED_SPREAD_MS);
  assert.equal(rotated, ROTATED_SPREAD_MS / 2);
  assert.ok(next - rotated > 20 * DAY_MS, 'one demand is one renewal');
  const hour = 3_600_000;
  const ahead = await renewals(pem, from - 300 * DAY_MS, null);
  assert.deepEqual(ahead, [0, hour, 2 * hour, 3 * hour, 4 * hour]);
});
