// The channel and events over real HTTPS: what goes up and down while a node is connected.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WebSocket } from 'undici';
import { silentLog } from '../../coordinator/log.ts';
import { startCoordinator } from '../../coordinator/main.ts';
import { serverEvents } from '../../shared/client/event-stream.ts';
import type { RouteClient } from '../../shared/client/route-client.ts';
import { routes } from '../../shared/routes/table.ts';
import {
  type CoordinatorMessage,
  CoordinatorMessage as Message,
} from '../../shared/schema/heartbeat.ts';
import { type InstanceId, NodeName } from '../../shared/schema/ids.ts';
import { Event, NodeSpec } from '../../shared/schema/records.ts';
import type { TaskSpec } from '../../shared/schema/task.ts';
import {
  bodyOf,
  type Fixture,
  heartbeatOf,
  raw,
  startFixture,
  type TestNode,
} from './coordinator-fixture.ts';

let fixture: Fixture;
let admin: RouteClient;
before(async () => {
  fixture = await startFixture();
  admin = fixture.admin;
});
after(() => fixture.close());

/** A node's channel, and its messages as they come. */
async function openChannel(node: TestNode, of = fixture) {
  const url = `${of.coordinator.url.replace('https', 'wss')}/v1/node/channel`;
  const socket = new WebSocket(url, { dispatcher: node.agent });
  const inbox: CoordinatorMessage[] = [];
  let wake = () => {};
  socket.addEventListener('message', ({ data }) => {
    inbox.push(Message.parse(JSON.parse(String(data))));
    wake();
  });
  const closed = new Promise<number>((resolve) =>
    socket.addEventListener('close', ({ code }) => resolve(code)),
  );
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', ({ message }) => reject(new Error(message)));
  });
  return {
    socket,
    closed,
    async next(): Promise<CoordinatorMessage> {
      while (inbox.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return inbox.shift() as CoordinatorMessage;
    },
    beat: (seq: number, fields = {}) =>
      socket.send(JSON.stringify({ type: 'heartbeat', seq, heartbeat: heartbeatOf(fields) })),
  };
}

const createTask = async (instance: InstanceId, spec: TaskSpec, more = {}) =>
  bodyOf(await admin.call(routes.createTask, { body: { instance, spec, ...more } }));
const LOGS: TaskSpec = { kind: 'collect-logs', lines: 10 };

test('heartbeats go up a channel, replies and nudges come down', { timeout: 10_000 }, async () => {
  const node = await fixture.node('channel-1');
  const channel = await openChannel(node);
  channel.beat(1, { phase: 'ready', generation: 1 });
  const reply = await channel.next();
  assert.ok(reply.type === 'reply' && reply.seq === 1 && reply.reply.confirmed === 1);
  assert.deepEqual(await channel.next(), { type: 'nudge', what: 'desired' }, 'good is new');

  channel.socket.send('{"type":"heartbeat","seq":"x"}');
  const error = await channel.next();
  assert.ok(error.type === 'error' && error.code === 'BODY_INVALID');

  await createTask(node.id, LOGS);
  assert.deepEqual(await channel.next(), { type: 'nudge', what: 'tasks' });
  const params = { name: NodeName.parse('channel-1') };
  const body = NodeSpec.parse({ labels: { changed: 'yes' } });
  await admin.call(routes.putNodeSpec, { params, body });
  assert.deepEqual(await channel.next(), { type: 'nudge', what: 'desired' });

  const shown = bodyOf(await admin.call(routes.getInstance, { params: { id: node.id } }));
  assert.ok(shown.connected && shown.lastSeenAt !== null && shown.state === 'running');
  const newer = await openChannel(node);
  assert.equal(await channel.closed, 1008);
  await admin.call(routes.terminateInstance, { params: { id: node.id }, body: { force: true } });
  assert.equal(await newer.closed, 1006, 'the end of the instance ends its connections');
  const ended = bodyOf(await admin.call(routes.getInstance, { params: { id: node.id } }));
  assert.deepEqual([ended.state, ended.connected], ['terminated', false]);
});

test('a channel that is open ends with its certificate, revoked or run out', {
  timeout: 10_000,
}, async () => {
  const own = await startFixture();
  try {
    const [revoked, late] = [await own.node('ended-1'), await own.node('ended-2')];
    const channel = await openChannel(revoked, own);
    const { certificate } = bodyOf(
      await own.admin.call(routes.getInstance, { params: { id: revoked.id } }),
    );
    const { serial } = certificate ?? assert.fail('no certificate');
    await own.admin.call(routes.revokeCertificate, { params: { serial } });
    assert.equal(await channel.closed, 1006);

    const other = await openChannel(late, own);
    other.beat(1);
    assert.equal((await other.next()).type, 'reply');
    own.clock.advance(31 * 86_400_000);
    other.beat(2);
    let answer = await other.next();
    while (answer.type === 'nudge') answer = await other.next();
    assert.ok(answer.type === 'error' && answer.code === 'CERTIFICATE_EXPIRED');
    assert.match(answer.hint, /renew/);
  } finally {
    await own.close();
  }
});

test('a channel needs a node certificate', async () => {
  const headers = {
    connection: 'upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const plain = await raw(fixture, '/v1/node/channel');
  assert.equal(plain.json.code, 'CERTIFICATE_REQUIRED');
  const socket = new WebSocket(
    `${fixture.coordinator.url.replace('https', 'wss')}/v1/node/channel`,
    { dispatcher: fixture.client().agent, headers },
  );
  await new Promise((resolve) => socket.addEventListener('error', resolve));
});

test('events come in order, with who did it, and are resumed by revision', async () => {
  const before = bodyOf(await admin.call(routes.getStatus, {})).revision;
  const node = await fixture.node('event-1');
  await createTask(node.id, LOGS);
  const read = async (query: object, headers = {}) => {
    const events: Event[] = [];
    const search = new URLSearchParams(query as Record<string, string>);
    const authorization = `Bearer ${fixture.credential}`;
    const { status, text } = await raw(fixture, `/v1/events?${search}`, {
      headers: { authorization, ...headers },
    });
    assert.equal(status, 200);
    for await (const { data, id } of serverEvents([Buffer.from(text)] as never)) {
      events.push(Event.parse(JSON.parse(data)));
      assert.equal(Number(id), events.at(-1)?.revision);
    }
    return events;
  };
  const events = await read({ after: before });
  assert.deepEqual(
    events.map(({ kind, actor }) => [kind, actor.split(':')[0]]),
    [
      ['node.created', 'admin'],
      ['instance.created', 'admin'],
      ['token.created', 'admin'],
      ['instance.enrolled', 'node'],
      ['task.created', 'admin'],
    ],
  );
  const revisions = events.map(({ revision }) => revision);
  assert.deepEqual(
    revisions,
    revisions.toSorted((a, b) => a - b),
  );
  const resumed = await read({}, { 'last-event-id': String(revisions[2]) });
  assert.deepEqual(resumed, events.slice(3));
  const all = await read({ subject: `instance/${node.id}` });
  assert.deepEqual(
    all.map(({ kind }) => kind),
    events.slice(1, 4).map(({ kind }) => kind),
  );

  const gone = await raw(fixture, '/v1/events?after=999999', {
    headers: { authorization: `Bearer ${fixture.credential}` },
  });
  assert.deepEqual([gone.status, gone.json.code], [410, 'COMPACTED']);
});

test('a stop ends polls, streams and channels at once, and forgets nobody', async () => {
  const own = await startFixture({ stopSeconds: 30 });
  const config = { stateDir: own.stateDir, listen: '127.0.0.1:0', bootListen: null };
  try {
    const node = await own.node('stop-1');
    const channel = await openChannel(node, own);
    channel.beat(1);
    await channel.next();
    const etag = (await node.client.call(routes.getDesired, {}))?.etag ?? '';
    const poll = node.client.call(routes.getDesired, { etag, query: { wait: 60 } });
    const response = await own.admin.open(routes.watchEvents, { query: { follow: 'true' } });
    const stream = Array.fromAsync(serverEvents(response.body));
    const started = own.clock.monotonic();
    await own.coordinator.stop();
    assert.ok(own.clock.monotonic() - started < 3_000);
    assert.deepEqual([await poll, await channel.closed], [null, 1001]);
    assert.ok((await stream).length > 0);
    own.coordinator = await startCoordinator(config, { log: silentLog });
    const params = { id: node.id };
    const { lastSeenAt } = bodyOf(await own.admin.call(routes.getInstance, { params }));
    assert.ok(lastSeenAt !== null, 'written at the stop, not only every 30 s');
  } finally {
    await own.close();
  }
});

test('who follows events gets them as they happen', { timeout: 10_000 }, async () => {
  const response = await admin.open(routes.watchEvents, {
    query: { follow: 'true', after: bodyOf(await admin.call(routes.getStatus, {})).revision },
  });
  const stream = serverEvents(response.body);
  const next = stream.next();
  await fixture.instance('follow-1');
  assert.equal(JSON.parse((await next).value?.data ?? '').kind, 'node.created');
  await stream.return();
});
