// Answers that are well formed and wrong: from the past, of another history, from a coordinator that
// wants to be left alone, or written to hurt whoever passes them on.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { desiredFile } from '../../agent/link/desired.ts';
import { desiredOf, envelopeOf } from '../../agent/reconcile/testing.ts';
import { systemClock } from '../../shared/clock.ts';
import { type FakeCoordinator, heartbeatReply, send, startFake } from './agent-fake-coordinator.ts';
import { type FakeLink, linkTo } from './agent-fake-link.ts';
import { eventually } from './agent-fixture.ts';

let fake: FakeCoordinator;
let dir: string;
let link: FakeLink;
before(async () => {
  fake = await startFake();
});
after(() => fake.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-answers-'));
  Object.assign(fake, { desired: desiredOf(5, []), etag: '"h1.5"', misbehave: () => false });
  fake.met.length = 0;
});
afterEach(async () => {
  await link.stop();
  await rm(dir, { recursive: true });
  assert.ok(!link.lines.some((line) => line.startsWith('died')), link.lines.join('\n'));
});

const untilDesired = (etag: string) =>
  eventually(
    () => link.link.desired.document?.etag,
    (now) => now === etag,
  );

/** It is kept on disk soon after it is known. */
const untilKept = (etag: string) =>
  eventually(
    async () => (await desiredFile(dir).load())?.etag,
    (now) => now === etag,
  );

function answerWith(generation: number, etag: string, history = 'h1'): void {
  Object.assign(fake, { desired: { ...desiredOf(generation, []), history }, etag });
  link.link.desired.wake();
}

test('an older generation of the same history is not taken, is said, and asked for again', async () => {
  link = await linkTo(fake, dir);
  await untilDesired('"h1.5"');
  await untilKept('"h1.5"');
  answerWith(4, '"h1.4"');
  await eventually(
    () => link.lines.join('\n'),
    (text) => /DESIRED_OLDER|generation 4, this node has had 5/.test(text),
  );
  assert.equal(link.link.desired.document?.etag, '"h1.5"');
  assert.equal((await desiredFile(dir).load())?.etag, '"h1.5"');
  answerWith(6, '"h1.6"');
  await untilDesired('"h1.6"');
  await eventually(
    () => link.link.state().problem,
    (problem) => problem === null,
  );
  assert.equal(link.lines.filter((line) => line.includes('has had 5')).length, 1);
});

test('another history begins anew, however low its generations are', async () => {
  link = await linkTo(fake, dir);
  await untilDesired('"h1.5"');
  answerWith(1, '"h2.1"', 'h2');
  await untilDesired('"h2.1"');
  await untilKept('"h2.1"');
});

test('the desired state of another instance is refused, and changes nothing', async () => {
  link = await linkTo(fake, dir);
  await untilDesired('"h1.5"');
  const { document } = link.link.desired;
  const other = { ...desiredOf(6, []), instance: 'i-ffffffffffffffff' };
  fake.misbehave = ({ what, response }) => {
    if (what !== 'desired' || response === null) return false;
    const envelope = envelopeOf(other as typeof fake.desired);
    send(response, 200, { envelope, rejected: [], good: null }, { etag: '"x"' });
    return true;
  };
  link.link.desired.wake();
  await eventually(
    () => link.lines.join('\n'),
    (text) => text.includes('it is for i-ffffffffffffffff'),
  );
  assert.equal(link.link.desired.document, document);
});

for (const status of [429, 503])
  test(`Retry-After of a ${status} is kept to, by heartbeats and by questions`, async () => {
    const times = { desired: [] as number[], heartbeat: [] as number[] };
    fake.misbehave = ({ what, request, response }) => {
      if (what === 'upgrade') request.socket.destroy();
      if (what === 'desired' || what === 'heartbeat') times[what].push(systemClock.monotonic());
      const problem = { code: 'TOO_MANY_REQUESTS', detail: 'slower', hint: 'wait' };
      if (response) send(response, status, problem, { 'retry-after': '100' });
      return true;
    };
    link = await linkTo(fake, dir);
    await eventually(
      () => Math.min(times.desired.length, times.heartbeat.length),
      (count) => count >= 2,
    );
    // 100 s on a clock that is a hundred times as fast.
    for (const [first = 0, second = 0] of [times.desired, times.heartbeat])
      assert.ok(second - first >= 990, `${second - first} ms`);
  });

// RFC 9110 §5.5 lets a field value hold obs-text; none of these may be sent back in a header.
const ETAGS = [
  '"caf\u00e9"',
  '"\u0080\u00ff"',
  'no quotes',
  '"a"b"',
  `"${'x'.repeat(9000)}"`,
  '"a\tb"',
];

test('an ETag that could not be sent back is left out, and keeps nothing from working', async () => {
  let etag = '';
  let asked: unknown;
  fake.misbehave = ({ what, request, response }) => {
    if (what !== 'desired' || response === null) return false;
    asked = request.headers['if-none-match'];
    const body = { envelope: envelopeOf(fake.desired), rejected: [], good: null };
    send(response, 200, body, { etag });
    return true;
  };
  for (const [index, next] of ETAGS.entries()) {
    etag = next;
    fake.desired = desiredOf(10 + index, []);
    if (index === 0) link = await linkTo(fake, dir);
    for (let round = 0; round < 2; round += 1) {
      const count = fake.met.filter((what) => what === 'desired').length;
      link.link.desired.wake();
      await eventually(
        () => fake.met.filter((what) => what === 'desired').length,
        (now) => now > count,
      );
    }
    const payload = envelopeOf(fake.desired).payload;
    await eventually(
      () => link.link.desired.document?.reply.envelope.payload,
      (now) => now === payload,
    );
    assert.equal(asked, undefined, next);
  }
});

test('texts that would be headers, log lines or keys of an object are only texts', async () => {
  const nasty = '"\r\nx-injected: 1\r\n\r\nGET / HTTP/1.1\r\n<0>panic\u001b]0;t\u0007';
  const requests: string[] = [];
  fake.misbehave = ({ what, request, response, socket, message }) => {
    requests.push(JSON.stringify(request.rawHeaders));
    const reply = JSON.parse(
      JSON.stringify({ ...heartbeatReply(nasty.slice(0, 200)), x: 1 }).replace(
        '"x":1',
        '"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}',
      ),
    );
    if (what === 'heartbeat' && response) send(response, 200, reply);
    else if (what === 'socket-heartbeat')
      socket?.send(
        JSON.stringify({
          type: 'error',
          seq: message?.seq,
          code: nasty,
          message: nasty,
          hint: nasty,
        }),
      );
    else if (what === 'desired' && response)
      send(response, 409, { code: nasty, detail: nasty, hint: nasty, details: { [nasty]: nasty } });
    else return false;
    return true;
  };
  link = await linkTo(fake, dir);
  await eventually(
    () => [requests.length, link.replies()] as const,
    ([count, replies]) => count > 6 && replies > 0,
  );
  assert.ok(requests.every((headers) => !headers.includes('injected')));
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  fake.misbehave = () => false;
  link.link.desired.wake();
  await untilDesired('"h1.5"');
  // It is acted upon first, and kept then.
  const kept = await eventually(
    () => readFile(join(dir, 'desired.json'), 'utf8').catch(() => ''),
    (text) => text.includes('h1.5'),
  );
  assert.doesNotMatch(kept, /injected/);
});
