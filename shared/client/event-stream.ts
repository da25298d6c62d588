// Server-sent events (WHATWG HTML, "Parsing an event stream") as a client reads them. Parses; never
// reconnects.

import { BilletError } from '../errors.ts';

export interface ServerEvent {
  /** The last `id:` seen; empty before the first. */
  readonly id: string;
  /** `message` without an `event:` field. */
  readonly event: string;
  readonly data: string;
}

const EVENT_LIMIT_CHARACTERS = 1024 * 1024;

/** One item for each event with data. An event cut off by the end of the stream is dropped. */
export async function* serverEvents(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerEvent, void> {
  let id = '';
  let event = '';
  let data: string[] = [];
  for await (const line of lines(chunks)) {
    if (line === '') {
      if (data.length > 0) yield { id, event: event || 'message', data: data.join('\n') };
      event = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data.push(value);
    if (field === 'event') event = value;
    if (field === 'id' && !value.includes('\0')) id = value;
  }
}

async function* lines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    // A CR at the end may be half of a CRLF: it waits for the next chunk.
    const whole = /^(?:[^\r\n]*(?:\r\n|\n|\r(?=[^\n])))+/.exec(rest)?.[0] ?? '';
    rest = rest.slice(whole.length);
    yield* whole.split(/\r\n|\n|\r/).slice(0, -1);
    if (rest.length > EVENT_LIMIT_CHARACTERS)
      throw new BilletError('INTERNAL', 'an event is longer than a coordinator writes', {
        hint: 'check that the address is that of a Billet coordinator',
      });
  }
}
