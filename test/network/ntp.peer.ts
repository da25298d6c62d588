// Time servers that are right, silent, refuse, lie or are somebody else (RFC 4330 §5, RFC 5905 §7.4), and what
// a boot makes of them. The clock here is played; test/network/ntp.peer.ts has real ones.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { readNtpReply } from '../../agent/boot/network/ntp.ts';
import { askNtp } from '../../agent/drivers/network-time.ts';
import { systemClock } from '../../shared/clock.ts';
import { type NtpAnswer, ntpAnswer, ntpServer } from './ntp-fixture.ts';

const NOW = Date.UTC(2026, 10, 22, 1, 2, 3, 500);
const never = new AbortController().signal;
const ask = (port: number, servers = ['127.0.0.1'], refuses = (_: number): string | null => null) =>
  askNtp(servers, { clock: systemClock, port, refuses }, never);

describe('asking a time server', { concurrency: true }, () => {
  test('the time is that of the server, with half of the way there and back', async () => {
    await using server = await ntpServer((question) => [ntpAnswer(question, { unixMs: NOW })]);
    const { unixMs, server: who } = await ask(server.port);
    assert.ok(unixMs >= NOW && unixMs < NOW + 900, String(unixMs - NOW));
    assert.equal(who, '127.0.0.1');
    const [question] = server.questions;
    assert.equal(question?.length, 48);
    assert.equal(question?.[0], 0x23, 'version 4, client (RFC 4330 §4)');
    assert.ok(
      question?.subarray(1, 40).every((byte) => byte === 0),
      'and nothing of this machine',
    );
  });

  test('an answer with another origin is somebody else’s; the real one counts', async () => {
    await using server = await ntpServer((question) => [
      ntpAnswer(question, { unixMs: 0, origin: randomBytes(8) }),
      Buffer.from('short'),
      ntpAnswer(question, { unixMs: NOW }),
    ]);
    assert.ok(Math.abs((await ask(server.port)).unixMs - NOW) < 900);
  });

  for (const [name, answer, said] of [
    ['is not synchronized', { leap: 3, unixMs: NOW }, /leap indicator 3/],
    ['has stratum 16', { stratum: 16, unixMs: NOW }, /stratum 16/],
    ['sends a kiss-o’-death', { stratum: 0, reference: 'DENY' }, /kiss-o'-death DENY/],
    ['has no time', {}, /no transmit timestamp/],
    ['is far from its reference', { rootDelay: 0x0010_0000, unixMs: NOW }, /too far from/],
  ] as const satisfies readonly (readonly [string, NtpAnswer, RegExp])[])
    test(`one that ${name} is not believed, and not asked again`, async () => {
      await using server = await ntpServer((question) => [ntpAnswer(question, answer)]);
      await assert.rejects(ask(server.port), {
        code: 'NTP_FAILED',
        message: said,
        hint: /UDP port/,
      });
      assert.equal(server.questions.length, 1);
    });

  test('one that is silent is asked twice, one that is not there not for long', async () => {
    await using server = await ntpServer(() => []);
    const startMs = systemClock.monotonic();
    await assert.rejects(ask(server.port), { code: 'NTP_FAILED', message: /no answer/ });
    assert.equal(server.questions.length, 2);
    assert.ok(systemClock.monotonic() - startMs < 4000);
  });

  test('a time that is refused makes the next server’s turn', async () => {
    await using server = await ntpServer((question) => [ntpAnswer(question, { unixMs: NOW })]);
    let asked = 0;
    const refuses = () => {
      asked += 1;
      return asked === 1 ? 'it lies' : null;
    };
    const time = await ask(server.port, ['127.0.0.1', 'localhost'], refuses);
    assert.equal(time.server, 'localhost');
    await assert.rejects(
      ask(server.port, ['127.0.0.1'], () => 'it lies'),
      { code: 'NTP_FAILED', message: /127\.0\.0\.1: it lies/ },
    );
  });
});

test('timestamps are of the era that their first bit says (RFC 4330 §3)', () => {
  const nonce = randomBytes(8);
  const question = Buffer.concat([Buffer.alloc(40), nonce]);
  for (const unixMs of [
    Date.UTC(2026, 0, 1),
    Date.UTC(2036, 1, 7, 6, 28, 15),
    Date.UTC(2036, 1, 8),
  ])
    assert.deepEqual(readNtpReply(ntpAnswer(question, { unixMs }), nonce), {
      kind: 'time',
      unixMs,
    });
});
