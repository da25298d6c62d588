// The link of the agent against a coordinator that misbehaves: whatever it does, the node goes on as
// it is, says what is wrong, and is back once the coordinator is.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { backoffMs } from '../../agent/link/backoff.ts';
import { desiredOf } from '../../agent/reconcile/testing.ts';
import type { Clock } from '../../shared/clock.ts';
import {
  type FakeCoordinator,
  heartbeatReply,
  type Meeting,
  send,
  startFake,
} from './agent-fake-coordinator.ts';
import { type FakeLink, fastClock, linkTo } from './agent-fake-link.ts';
import { eventually } from './agent-fixture.ts';

let fake: FakeCoordinator;
let dir: string;
let link: FakeLink;
before(async () => {
  fake = await startFake();
});
after(() => fake.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-link-'));
  Object.assign(fake, { desired: desiredOf(1, []), etag: '"h1.1"', misbehave: () => false });
  fake.met.length = 0;
});
afterEach(async () => {
  await link.stop();
  await rm(dir, { recursive: true });
  assert.ok(!link.lines.some((line) => line.startsWith('died')), link.lines.join('\n'));
});

/** Connected, answered over the socket, and with the desired state of the coordinator. */
async function untilWell(): Promise<void> {
  await eventually(
    () => [link.link.state(), link.link.desired.document?.etag] as const,
    ([{ connected, problem }, etag]) => connected && problem === null && etag === fake.etag,
  );
  const before = fake.met.filter((what) => what === 'socket-heartbeat').length;
  link.link.pulse();
  await eventually(
    () => fake.met.filter((what) => what === 'socket-heartbeat').length,
    (count) => count > before,
  );
}

const cut = ({ request }: Meeting) => {
  request.socket.destroy();
  return true;
};

for (let nth = 0; nth < 8; nth += 1)
  test(`cut at message ${nth} of the conversation, and once more after its answer`, async () => {
    let count = 0;
    let late = false;
    fake.misbehave = (meeting) => {
      const now = count++;
      if (now === nth) return cut(meeting);
      // The answer is on its way when the connection ends.
      if (now === nth + 1) {
        late = true;
        setTimeout(() => meeting.request.socket.destroy(), 2);
      }
      return false;
    };
    link = await linkTo(fake, dir);
    await eventually(
      () => late,
      (done) => done,
    );
    await untilWell();
  });

// RFC 6455 §7.4.1 and the registry of §11.7; 1005, 1006 and 1015 cannot be sent.
const CLOSE_CODES = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];

test('closed with each code, the socket is opened again; its reason is one line of the log', async () => {
  link = await linkTo(fake, dir);
  for (const code of [...CLOSE_CODES, 3000, 4999]) {
    await untilWell();
    const [socket] = fake.sockets;
    socket?.close(code, 'one\r\n<3>two \u001b[31m');
    await eventually(
      () => link.lines.some((line) => line.includes(`closed with ${code}`)),
      (logged) => logged,
    );
  }
  await untilWell();
  for (const line of link.lines) assert.ok(!/[\r\n]/.test(line) && !line.includes('\u001b'));
});

test('that it is opened again is what the wait after its end is for: were that for ever, it would stay closed', async () => {
  const again = backoffMs(0, 0.5, { baseMs: 1_000, capMs: 60_000 });
  const sleep: Clock['sleep'] = (ms, signal) =>
    fastClock.sleep(ms === again ? Number.POSITIVE_INFINITY : ms, signal);
  link = await linkTo(fake, dir, { clock: { ...fastClock, sleep }, random: () => 0.5 });
  await untilWell();
  const [socket] = fake.sockets;
  socket?.close(1011, 'once');
  const overHttp = () => fake.met.filter((what) => what === 'heartbeat').length;
  for (const enough = overHttp() + 5; overHttp() < enough; ) {
    link.link.pulse();
    await fastClock.sleep(1_000, new AbortController().signal);
  }
  assert.equal(link.link.state().connected, false);
  assert.equal(fake.sockets.size, 0);
});

test('a socket that answers nothing, not even a close, is cut; heartbeats go over HTTP, and back', async () => {
  let silent = 0;
  fake.misbehave = ({ what, socket }) => {
    if (what !== 'socket-heartbeat' || silent > 0) return false;
    silent += 1;
    // Neither replies nor pongs nor closes, as behind a router that has forgotten the connection.
    socket?.pause();
    return true;
  };
  link = await linkTo(fake, dir);
  await eventually(
    () => silent,
    (count) => count === 1,
  );
  const before = fake.met.filter((what) => what === 'heartbeat').length;
  await eventually(
    () => fake.met.filter((what) => what === 'heartbeat').length,
    (count) => count > before,
  );
  // Another one, while the first has not ended for its server.
  await untilWell();
  assert.equal(fake.sockets.size, 2);
  for (const socket of fake.sockets) socket.resume();
  await eventually(
    () => fake.sockets.size,
    (count) => count === 1,
  );
});

test('without a channel heartbeats go over HTTP, and the log does not fill with it', async () => {
  fake.misbehave = ({ what, request }) => {
    if (what === 'upgrade') request.socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n');
    return what === 'upgrade';
  };
  link = await linkTo(fake, dir);
  await eventually(
    () => [fake.met.filter((what) => what === 'upgrade').length, link.replies()] as const,
    ([upgrades, replies]) => upgrades >= 3 && replies >= 3,
  );
  assert.equal(link.lines.filter((line) => line.includes('channel')).length, 1);
  assert.match(link.link.state().problem ?? '', /channel/);
  fake.misbehave = () => false;
  await untilWell();
});

const ODD: readonly [string, (meeting: Meeting) => void][] = [
  ['a wrong schema', ({ response }) => response && send(response, 200, { desired: 5 })],
  ['no JSON', ({ response }) => response && send(response, 200, '<html>hello</html>')],
  ['nothing', ({ response }) => response?.end()],
  ['500', ({ response }) => response && send(response, 500, 'oops')],
  ['502 of a proxy', ({ response }) => response && send(response, 502, '<html>bad</html>')],
  ['304 for all', ({ response }) => response?.writeHead(304).end()],
  [
    'a redirect',
    ({ response }) => response?.writeHead(302, { location: 'https://192.0.2.1/' }).end(),
  ],
  ['401', ({ response }) => response && send(response, 401, { code: 'FROM_THE_FUTURE' })],
  [
    'half a reply',
    ({ response }) => void response?.writeHead(200, { 'content-length': '999' }).write('{"a"'),
  ],
];

for (const [name, answer] of ODD)
  test(`${name} in answer to every request: the node keeps what it has, and is back afterwards`, async () => {
    link = await linkTo(fake, dir);
    await untilWell();
    const { document } = link.link.desired;
    fake.etag = '"h1.2"';
    fake.desired = desiredOf(2, []);
    fake.misbehave = (meeting) => {
      if (meeting.what === 'socket-heartbeat') meeting.socket?.terminate();
      else if (meeting.what === 'upgrade') meeting.request.socket.destroy();
      else {
        answer(meeting);
        // What is half said ends at some time.
        setTimeout(() => meeting.request.socket.destroy(), 20);
      }
      return true;
    };
    link.link.desired.wake();
    const asked = fake.met.length;
    await eventually(
      () =>
        fake.met.slice(asked).filter((what) => what === 'desired' || what === 'heartbeat').length,
      (count) => count >= 3,
    );
    assert.equal(link.link.desired.document, document);
    assert.notEqual(link.link.state().problem, null);
    fake.misbehave = () => false;
    await untilWell();
    assert.equal(link.link.desired.document?.etag, '"h1.2"');
  });

test('fields and messages of a newer coordinator are passed over', async () => {
  fake.misbehave = ({ what, response, socket, message }) => {
    const reply = { ...heartbeatReply(fake.etag), more: { of: 'it' } };
    if (what === 'heartbeat' && response) send(response, 200, reply);
    else if (what === 'socket-heartbeat') {
      socket?.send(JSON.stringify({ type: 'nudge', what: 'something-new' }));
      socket?.send(JSON.stringify({ type: 'from-the-future', seq: message?.seq }));
      socket?.send('no JSON');
      socket?.send(Buffer.from([0xff, 0xfe]));
      socket?.send(JSON.stringify({ type: 'reply', seq: 99_999, reply }));
      socket?.send(JSON.stringify({ type: 'reply', seq: message?.seq, reply, more: 1 }));
    } else return false;
    return true;
  };
  link = await linkTo(fake, dir);
  await untilWell();
  const before = link.replies();
  link.link.pulse();
  await eventually(link.replies, (count) => count > before);
});
