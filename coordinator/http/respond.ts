// Writes answers to the wire: JSON, text, 304, problems, and streams of server-sent events.

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Route } from '#shared/routes/route.ts';
import type { Answer, StreamItem } from '../routes/handler.ts';
import type { Problem } from './problem.ts';

export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

export function sendAnswer(
  { request, response }: Exchange,
  route: Route,
  answer: Exclude<Answer<Route>, { stream: unknown }>,
): void {
  if ('unchanged' in answer) {
    response.writeHead(304, { etag: answer.unchanged }).end();
    return;
  }
  const text = route.form === 'text';
  const body = text ? String(answer.body) : JSON.stringify(answer.body);
  response.writeHead(route.status ?? 200, {
    'content-type': text ? 'text/plain; charset=utf-8' : 'application/json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(answer.etag === undefined ? {} : { etag: answer.etag }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Nothing when the head is out already: then only the connection can say that it went wrong. */
export function sendProblem({ request, response }: Exchange, problem: Problem): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const unread = !request.complete;
  response.writeHead(problem.status, {
    ...problem.headers,
    'content-length': Buffer.byteLength(problem.body),
    'cache-control': 'no-store',
    // What is left of a body that was not read would be taken for the next request.
    ...(unread ? { connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : problem.body, () => {
    if (unread) request.socket.destroySoon();
  });
}

/**
 * `id` and `data` for each item; null is a comment. The first item is awaited
 * before the head is sent, so that an error at the start is a problem document. A later one is the
 * last event, `error`, with that document as its data.
 */
export async function sendStream(
  exchange: Exchange,
  stream: AsyncIterable<StreamItem<unknown> | null>,
  problem: (error: unknown) => Problem,
): Promise<void> {
  const { request, response } = exchange;
  const items = stream[Symbol.asyncIterator]();
  const first = await items.next();
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  if (request.method === 'HEAD') {
    await items.return?.();
    response.end();
    return;
  }
  const write = async (text: string) => {
    if (!response.write(text) && !response.destroyed)
      await Promise.race([once(response, 'drain'), once(response, 'close')]);
  };
  try {
    for (let item = first; !item.done && !response.destroyed; item = await items.next())
      await write(eventText(item.value));
  } catch (error) {
    if (!response.destroyed) await write(`event: error\ndata: ${problem(error).body}\n\n`);
  } finally {
    await items.return?.();
  }
  response.end();
}

/** A file as it comes. What goes wrong on the way cuts the connection: half a file is none. */
export async function sendBytes(
  { request, response }: Exchange,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  const items = bytes[Symbol.asyncIterator]();
  // Before the head is sent, so that an error at the start is a problem document.
  let item = await items.next();
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'cache-control': 'no-store',
  });
  try {
    for (
      ;
      !item.done && !response.destroyed && request.method !== 'HEAD';
      item = await items.next()
    )
      if (!response.write(item.value) && !response.destroyed)
        await Promise.race([once(response, 'drain'), once(response, 'close')]);
  } finally {
    await items.return?.();
  }
  response.end();
}

function eventText(item: StreamItem<unknown> | null): string {
  if (item === null) return ': still here\n\n';
  const id = item.id === null ? '' : `id: ${item.id}\n`;
  return `${id}data: ${JSON.stringify(item.data)}\n\n`;
}
