import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ServerEvent, serverEvents } from './event-stream.ts';

async function parse(text: string, size: number): Promise<ServerEvent[]> {
  const bytes = Buffer.from(text);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  }
  return await Array.fromAsync(serverEvents(chunks()));
}

// The example of WHATWG HTML §9.2.6, with every end of line there is, and an end in mid-event.
const STREAM =
  ': a comment\n\nid: 1\ndata: first\r\ndata:  sécond\r\r\nevent: add\rdata\ndata\n\nid\ndata:x\n\ndata: lost';

test('events are the same however the bytes were cut', async () => {
  const expected = [
    { id: '1', event: 'message', data: 'first\n sécond' },
    { id: '1', event: 'add', data: '\n' },
    { id: '', event: 'message', data: 'x' },
  ];
  for (let size = 1; size <= STREAM.length; size++)
    assert.deepEqual(await parse(STREAM, size), expected, `in pieces of ${size}`);
});

test('an endless line is refused', async () => {
  await assert.rejects(parse(`data: ${'x'.repeat(2 ** 21)}`, 65536), { code: 'INTERNAL' });
});
