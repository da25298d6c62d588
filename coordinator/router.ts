// From a request to the handler of its route and back: match, prove the caller, parse what came in,
// write what goes out. Decides nothing about the things themselves.

import type { IncomingMessage } from 'node:http';
import { BilletError } from '#shared/errors.ts';
import type { Route } from '#shared/routes/route.ts';
import { type RouteName, type Routes, routes } from '#shared/routes/table.ts';
import type { Deps } from './deps.ts';
import { readJson } from './http/body.ts';
import { routeMatcher } from './http/match.ts';
import { parseInput, problemOf } from './http/problem.ts';
import { type Exchange, sendAnswer, sendBytes, sendProblem, sendStream } from './http/respond.ts';
import { randomName } from './ids.ts';
import type { Answer, Call, Caller, Handler } from './routes/handler.ts';

/** One for each row of the table, but those that are a WebSocket. */
export type Handlers = {
  readonly [N in Exclude<RouteName, 'channel'>]: Handler<Routes[N]>;
};

const BODY_BYTES_MAX = 64 * 1024;
const BODY_TIMEOUT_MS = 30_000;

export interface RouterOptions {
  readonly handlers: Handlers;
  readonly deps: Deps;
  /** Proves who calls, and that the route is for them. */
  readonly caller: (request: IncomingMessage, route: Route) => Promise<Caller>;
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal;
}

/** Answers one request. Never throws; a defect is logged and answered as INTERNAL. */
export function router(options: RouterOptions) {
  const { deps, stopping } = options;
  const match = routeMatcher(routes);

  async function answer(exchange: Exchange, signal: AbortSignal): Promise<void> {
    const { request } = exchange;
    const url = parseUrl(request.url ?? '/');
    const found = match(request.method ?? '', url.pathname);
    if (found === null) throw noPath(url.pathname);
    if ('allow' in found) throw noMethod(request.method ?? '', found.allow);
    const { name, route, params } = found;
    const caller = await options.caller(request, route);
    if (route.form === 'socket') throw noUpgrade(route.path);
    const call: Call<Route> = {
      caller,
      params: parseInput(route.params, params, 'path'),
      query: parseInput(route.query, queryOf(url.searchParams), 'query'),
      body: parseInput(route.body, await bodyOf(request, route), 'body'),
      ...conditionsOf(request),
      address: request.socket.remoteAddress ?? '',
      signal,
    };
    // The table ties each name to its types; here, where any row passes, they are erased.
    const handler = options.handlers[name as keyof Handlers] as unknown as Handler<Route>;
    const result = (await handler(call, deps)) as
      | Answer<Route>
      | Answer<Route & { form: 'events' }>
      | Answer<Route & { form: 'bytes' }>;
    if ('bytes' in result) return await sendBytes(exchange, result.bytes);
    if (!('stream' in result)) return sendAnswer(exchange, route, result);
    await sendStream(exchange, result.stream, (error) =>
      problemOf(error, 'stream', route.path, deps.log),
    );
  }

  return async (exchange: Exchange): Promise<void> => {
    const { request, response } = exchange;
    const requestId = randomName();
    response.setHeader('x-request-id', requestId);
    response.setHeader('x-content-type-options', 'nosniff');
    if (stopping.aborted || leavesBody(request)) response.setHeader('connection', 'close');
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      await answer(exchange, AbortSignal.any([gone.signal, stopping]));
    } catch (error) {
      if (response.destroyed) return;
      const where = `${request.method} ${pathForLog(request.url ?? '')}`;
      sendProblem(exchange, problemOf(error, requestId, where, deps.log));
    }
  };
}

function parseUrl(text: string): URL {
  const url = URL.parse(text, 'https://coordinator');
  if (url && text.startsWith('/')) return url;
  throw new BilletError('BODY_INVALID', 'the request has no valid path', {
    hint: 'ask for a path of /openapi.json',
  });
}

/** A body that no route reads: the connection ends with the answer, or it would be read for nothing. */
const leavesBody = ({ method, headers }: IncomingMessage): boolean =>
  (method === 'GET' || method === 'HEAD') &&
  (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0);

/** GET bodies are not read. */
async function bodyOf(request: IncomingMessage, route: Route): Promise<unknown> {
  if (route.method === 'GET') return {};
  const bytesMax = route.bodyBytesMax ?? BODY_BYTES_MAX;
  return await readJson(request, { bytesMax, timeoutMs: BODY_TIMEOUT_MS });
}

function queryOf(search: URLSearchParams): Record<string, string> {
  const names = [...search.keys()];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return Object.fromEntries(search);
  throw new BilletError('BODY_INVALID', `the query has ${twice.slice(0, 80)} twice`, {
    hint: 'give it once',
  });
}

function conditionsOf(request: IncomingMessage) {
  const ifMatch = request.headers['if-match'];
  const revision = ifMatch === undefined ? null : Number(/^"?(\d{1,15})"?$/.exec(ifMatch)?.[1]);
  if (Number.isNaN(revision))
    throw new BilletError('BODY_INVALID', 'If-Match is no revision', {
      hint: 'send the ETag of the record as it was read, e.g. If-Match: "42"',
    });
  const lastEventId = request.headers['last-event-id'];
  return {
    ifMatch: revision,
    ifNoneMatch: request.headers['if-none-match'] ?? null,
    lastEventId: typeof lastEventId === 'string' ? lastEventId : null,
  };
}

const noPath = (path: string) =>
  new BilletError('NOT_FOUND', `no path ${path.slice(0, 200)}`, {
    hint: '/openapi.json lists every path',
  });

const noMethod = (method: string, allow: readonly string[]) =>
  new BilletError('METHOD_NOT_ALLOWED', `${method} is not allowed here`, {
    hint: `use ${allow.join(' or ')}`,
    details: { allow },
  });

const noUpgrade = (path: string) =>
  new BilletError('BODY_INVALID', `${path} is a WebSocket`, {
    hint: 'send Connection: Upgrade (RFC 6455); without WebSockets, POST /v1/node/heartbeat',
  });

/** Query strings stay out of the log. */
const pathForLog = (url: string) => url.split('?')[0]?.slice(0, 200) ?? '';
