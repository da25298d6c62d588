import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import type { Coordinator } from './client.ts';
import { eventLine } from './commands/events.ts';
import { eventFeed } from './event-feed.ts';
import { testIo } from './testing.ts';

const event = (revision: number) => ({
  revision,
  at: '2026-01-01T00:00:00.000Z',
  actor: 'coordinator',
  kind: 'instance.enrolled',
  subject: 'instance/i-0123456789abcdef',
  text: 'enrolled',
  details: {},
});
const sse = (revision: number) => `id: ${revision}\ndata: ${JSON.stringify(event(revision))}\n\n`;

type Stream = () => AsyncIterable<string>;

/** Answers each opening with the next stream, and remembers what was asked. */
function fakeCoordinator(streams: readonly Stream[]) {
  const asked: unknown[] = [];
  const coordinator = {
    async open(_route: unknown, input: { query: unknown }) {
      const stream = streams[asked.length];
      asked.push(input.query);
      if (stream === undefined) throw new BilletError('FORBIDDEN', 'no more streams', { hint: '' });
      return { statusCode: 200, headers: {}, body: encoded(stream()) };
    },
  } as unknown as Coordinator;
  return { asked, coordinator };
}

async function* encoded(texts: AsyncIterable<string>) {
  for await (const text of texts) yield Buffer.from(text);
}

const whole = (text: string): Stream =>
  async function* () {
    yield text;
  };

/** Ends in the middle of an event, as a connection that is reset. */
const broken = (text: string): Stream =>
  async function* () {
    yield text;
    throw new Error('other side closed');
  };

function quickIo() {
  const clock = { now: () => 0, monotonic: () => 0, sleep: async () => undefined };
  return testIo({ clock });
}

async function revisions(feed: AsyncIterable<{ revision: number }>, into: number[] = []) {
  for await (const { revision } of feed) into.push(revision);
  return into;
}

test('without follow the feed ends with the newest event', async () => {
  const { coordinator, asked } = fakeCoordinator([whole(sse(4) + sse(7))]);
  assert.deepEqual(
    await revisions(eventFeed(quickIo().io, coordinator, { follow: false })),
    [4, 7],
  );
  assert.deepEqual(asked, [{ after: undefined, follow: 'false', subject: undefined }]);
});

test('a stream that breaks is opened again after the last event that was seen', async () => {
  const half = sse(9).slice(0, 20);
  const { coordinator, asked } = fakeCoordinator([
    broken(sse(4) + sse(7) + half),
    whole(sse(9)),
    whole(''),
  ]);
  const seen: number[] = [];
  const feed = eventFeed(quickIo().io, coordinator, { follow: true, after: 3 });
  await assert.rejects(revisions(feed, seen), { code: 'FORBIDDEN' });
  assert.deepEqual(seen, [4, 7, 9]);
  assert.deepEqual(
    asked.map((query) => (query as { after: number }).after),
    [3, 7, 9, 9],
  );
});

test('a stream that breaks within a commit loses none of its events, and repeats none', async () => {
  const part = (text: string) => `data: ${JSON.stringify({ ...event(7), text })}\n\n`;
  const last = `id: 7\n${part('c')}`;
  const { coordinator, asked } = fakeCoordinator([
    broken(sse(4) + part('a')),
    broken(part('a') + part('b')),
    whole(part('a') + part('b') + last),
  ]);
  const texts: string[] = [];
  const feed = eventFeed(quickIo().io, coordinator, { follow: true });
  await assert.rejects(
    async () => {
      for await (const { text } of feed) texts.push(text);
    },
    { code: 'FORBIDDEN' },
  );
  assert.deepEqual(texts, ['enrolled', 'a', 'b', 'c']);
  assert.deepEqual(
    asked.map((query) => (query as { after: number }).after),
    [undefined, 4, 4, 7],
  );
});

test('events that are no longer kept end the feed with COMPACTED', async () => {
  const gone = 'event: error\ndata: {"code":"COMPACTED","hint":"start without --after"}\n\n';
  const { coordinator } = fakeCoordinator([whole(gone)]);
  const feed = eventFeed(quickIo().io, coordinator, { follow: true, after: 1 });
  await assert.rejects(revisions(feed), { code: 'COMPACTED', hint: /without --after/ });
});

test('a line of an event fits the terminal and cannot be forged', () => {
  const line = eventLine({ ...event(12), text: `x\n${'y'.repeat(200)}` }, 80);
  assert.equal(line.length, 80);
  assert.match(line, /^ {4}12 {2}2026-01-01 00:00:00 {2}instance\.enrolled {2}/);
  assert.doesNotMatch(line, /\n/);
});
