// Calls the routes of the table over HTTP: builds the request, parses the reply, turns a problem
// document into a BilletError. Opens no connection itself, and never retries.

import type { z } from 'zod';
import { jsonOf } from '#shared/json.ts';
import { BilletError } from '../errors.ts';
import type { Reply, Route } from '../routes/route.ts';
import { describeFaults } from '../schema/faults.ts';
import { problemError } from './problem.ts';
import { tlsHint } from './tls-fault.ts';

export interface HttpRequest {
  readonly origin: string;
  readonly path: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly headers: Record<string, string>;
  readonly body: string | null;
  readonly signal: AbortSignal;
}

export interface HttpResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** The part of undici's Dispatcher that is used here, so that `shared` needs no HTTP library. */
export interface Dispatcher {
  request(request: HttpRequest): Promise<HttpResponse>;
}

/** A key of the input may be left out when nothing in it is required. */
type Part<K extends string, T> =
  Record<never, never> extends T ? { readonly [P in K]?: T } : { readonly [P in K]: T };

export type CallInput<R extends Route> = Part<'params', z.input<R['params']>> &
  Part<'query', z.input<R['query']>> &
  Part<'body', z.input<R['body']>> & {
    readonly signal?: AbortSignal | undefined;
    /** Sent as If-None-Match: an unchanged resource gives null. */
    readonly etag?: string | undefined;
    /** Sent as If-Match: a changed resource gives CONFLICT. */
    readonly ifMatch?: string | undefined;
    readonly timeoutMs?: number | undefined;
  };

export interface CallReply<R extends Route> {
  readonly body: Reply<R>;
  readonly status: number;
  readonly etag: string | null;
}

export interface RouteClientDeps {
  readonly dispatcher: Dispatcher;
  /** `https://host:port`; a path in it is dropped. */
  readonly baseUrl: string;
  /** Sent with each request, e.g. authorization. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteClient {
  /**
   * One request. Null only for 304. Throws the coordinator's error, LINK_DOWN when there is no
   * answer, TIMEOUT when it is late, and the signal's reason when the caller gave up.
   */
  call<R extends Route>(route: R, input: CallInput<R>): Promise<CallReply<R> | null>;
  /** The same, with the body of the response as it arrives; for routes of form `events`. */
  open<R extends Route>(route: R, input: CallInput<R>): Promise<HttpResponse>;
}

const TIMEOUT_MS = 30_000;
const REPLY_LIMIT_BYTES = 16 * 1024 * 1024;

export function routeClient({ dispatcher, baseUrl, headers = {} }: RouteClientDeps): RouteClient {
  const { origin } = new URL(baseUrl);

  async function send<R extends Route>(
    route: R,
    input: CallInput<R>,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const { params, query, body, etag, ifMatch } = input as LooseInput;
    const path = pathOf(route.path, params ?? {}) + queryOf(query ?? {});
    return await dispatcher.request({
      origin,
      path,
      method: route.method,
      headers: {
        accept: route.form === 'events' ? 'text/event-stream' : 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(etag === undefined ? {} : { 'if-none-match': etag }),
        ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
        ...headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal,
    });
  }

  return {
    async call(route, input) {
      const timeout = AbortSignal.timeout(input.timeoutMs ?? TIMEOUT_MS);
      const signal = AbortSignal.any([timeout, ...(input.signal ? [input.signal] : [])]);
      const where = `${route.method} ${origin}${route.path}`;
      try {
        const response = await send(route, input, signal);
        const text = await readText(response, where);
        if (response.statusCode === 304) return null;
        if (response.statusCode >= 300)
          throw problemError(response.statusCode, text, where, retryAfterSeconds(response));
        return {
          body: parseReply(route, text, where),
          status: response.statusCode,
          etag: headerOf(response, 'etag'),
        };
      } catch (error) {
        input.signal?.throwIfAborted();
        if (error instanceof BilletError) throw error;
        throw timeout.aborted ? lateError(where, error) : downError(where, error);
      }
    },

    async open(route, input) {
      const where = `${route.method} ${origin}${route.path}`;
      try {
        const response = await send(route, input, input.signal ?? new AbortController().signal);
        if (response.statusCode < 300) return response;
        throw problemError(response.statusCode, await readText(response, where), where);
      } catch (error) {
        input.signal?.throwIfAborted();
        if (error instanceof BilletError) throw error;
        throw downError(where, error);
      }
    },
  };
}

interface LooseInput {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
  readonly etag?: string;
  readonly ifMatch?: string;
}

function pathOf(template: string, params: Readonly<Record<string, unknown>>): string {
  return template.replace(/\{(\w+)\}/g, (_, key: string) =>
    encodeURIComponent(String(params[key])),
  );
}

function queryOf(query: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function headerOf(response: HttpResponse, name: string): string | null {
  const value = response.headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? null;
}

/** Retry-After as RFC 9110 §10.2.3 has it in seconds; a date, or anything else, is not looked at. */
function retryAfterSeconds(response: HttpResponse): number | null {
  const value = headerOf(response, 'retry-after');
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) : null;
}

async function readText(response: HttpResponse, where: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    if (bytes > REPLY_LIMIT_BYTES)
      throw new BilletError('INTERNAL', `${where} answered over ${REPLY_LIMIT_BYTES} bytes`, {
        hint: 'check that the address is that of a Billet coordinator',
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseReply<R extends Route>(route: R, text: string, where: string): Reply<R> {
  if (route.form === 'text') return text as Reply<R>;
  const parsed = route.reply.safeParse(jsonOf(text === '' ? '{}' : text));
  if (parsed.success) return parsed.data as Reply<R>;
  throw new BilletError(
    'INTERNAL',
    `${where} answered what its schema does not allow: ${describeFaults(parsed.error)}`,
    { hint: 'compare the versions of both sides with `billet --version`', cause: parsed.error },
  );
}

function downError(where: string, cause: unknown): BilletError {
  const reason = cause instanceof Error ? cause.message || cause.name : String(cause);
  return new BilletError('LINK_DOWN', `${where}: ${reason}`, {
    hint:
      tlsHint(cause) ??
      'check that the coordinator runs and can be reached: curl -k <coordinator>/healthz',
    cause,
  });
}

function lateError(where: string, cause: unknown): BilletError {
  return new BilletError('TIMEOUT', `${where} did not answer in time`, {
    hint: 'look at the load of the coordinator and at the network between',
    cause,
  });
}
