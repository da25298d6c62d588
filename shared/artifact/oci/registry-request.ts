// One request to a registry: authentication, redirects, retries with backoff. Knows HTTP, not
// images. Bodies of replies are streams that the caller has to read or drop.

import type { Readable } from 'node:stream';
import { type Dispatcher, request } from 'undici';
import { BilletError } from '../../errors.ts';
import { type Authenticator, authenticator, type Credentials } from './registry-auth.ts';
import { failed, isTransient, refusal, transient } from './registry-error.ts';
import { backOff, type RetryDeps } from './registry-retry.ts';
import { type StallLimit, watched } from './registry-stall.ts';

const MAX_REDIRECTS = 5;
const SMALL_BODY_BYTES = 1024 * 1024;
/** Of a body that only explains, or that nobody needs. */
const ASIDE_BYTES = 16 * 1024;

export interface Connection extends RetryDeps {
  /** `https://host:port`; http only for loopback and tests. */
  readonly origin: string;
  readonly dispatcher: Dispatcher;
  /** For other origins that the registry redirects to: no client certificate goes there. */
  readonly foreignDispatcher?: Dispatcher | undefined;
  readonly credentials?: Credentials | undefined;
  /** A request without a reply for this long is a failure. */
  readonly timeoutMs: number;
  readonly stall: StallLimit;
}

export interface Ask {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT';
  /** Path below the origin, or a URL that the registry gave. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called once for each try. */
  readonly body?: (() => Uint8Array | AsyncIterable<Uint8Array>) | undefined;
  /** `repository:NAME:pull` or `…:pull,push`: what a token has to allow. */
  readonly scope: string;
  /** Statuses to hand back; others are errors. */
  readonly expect: readonly number[];
  /** For messages: `GET manifest 1.0 from host/repository`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readable;
  /** The chunks of `body`, which has to come fast enough. Throws Transient. */
  readonly read: () => AsyncIterable<Uint8Array>;
  /** Where the reply came from, after redirects. */
  readonly url: URL;
}

export interface Requester {
  readonly connection: Connection;
  /** One try (two after a 401). Throws Transient or BilletError. */
  once(ask: Ask): Promise<Reply>;
  /** Runs `attempt` until it neither fails in passing nor runs out of tries (REGISTRY_FAILED). */
  retry<T>(attempt: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

export function requester(connection: Connection): Requester {
  const origin = new URL(connection.origin);
  const authentication: Authenticator = authenticator({
    origin,
    credentials: connection.credentials ?? null,
    clock: connection.clock,
    getJson: async (url, headers) => {
      const ask: Ask = {
        method: 'GET',
        url: url.href,
        scope: '',
        expect: [200],
        what: `GET token from ${url.host}`,
      };
      const reply = await send(ask, url, headers);
      return jsonOf(await checked(ask, reply, connection.clock.now()), ask.what);
    },
  });

  const send = async (ask: Ask, url: URL, headers: Record<string, string>): Promise<Reply> => {
    const home = url.origin === origin.origin;
    const dispatcher = home ? connection.dispatcher : connection.foreignDispatcher;
    const timeout = { headersTimeout: connection.timeoutMs, bodyTimeout: connection.timeoutMs };
    try {
      const reply = await request(url, {
        method: ask.method,
        headers,
        body: (ask.body?.() ?? null) as Uint8Array | Readable | null,
        signal: ask.signal ?? null,
        ...(dispatcher === undefined ? {} : { dispatcher }),
        ...(ask.body === undefined ? timeout : { bodyTimeout: connection.timeoutMs }),
      });
      const { statusCode: status, body } = reply;
      const { clock, stall } = connection;
      const read = () => watched(body, { what: ask.what, clock, stall, signal: ask.signal });
      return { status, headers: headersOf(reply.headers), body, read, url };
    } catch (error) {
      ask.signal?.throwIfAborted();
      if (error instanceof BilletError) throw error;
      throw transient(`${ask.what}: ${messageOf(error)}`, error);
    }
  };

  const follow = async (ask: Ask): Promise<Reply> => {
    let url = new URL(ask.url, origin);
    for (let hops = 0; hops <= MAX_REDIRECTS; hops += 1) {
      const ours = url.origin === origin.origin ? authentication.header(ask.scope) : null;
      const headers = { ...ask.headers, ...(ours === null ? {} : { authorization: ours }) };
      const reply = await send(ask, url, headers);
      const location = reply.headers.get('location');
      const moved = [301, 302, 303, 307, 308].includes(reply.status) && location !== null;
      if (!moved || ask.method === 'POST' || ask.method === 'PATCH' || ask.method === 'PUT')
        return reply;
      await drop(reply);
      url = redirected(url, location, ask.what);
    }
    throw failed(`${ask.what}: more than ${MAX_REDIRECTS} redirects`);
  };

  const once = async (ask: Ask): Promise<Reply> => {
    const final = (reply: Reply) => checked(ask, reply, connection.clock.now());
    const sent = authentication.header(ask.scope);
    const first = await follow(ask);
    if (first.status !== 401 || first.url.origin !== origin.origin) return await final(first);
    const challenge = first.headers.get('www-authenticate');
    if (!(await authentication.answer(challenge, ask.scope, sent))) return await final(first);
    await drop(first);
    return await final(await follow(ask));
  };

  const retry: Requester['retry'] = async (attempt, signal) => {
    for (let failure = 1; ; failure += 1)
      try {
        return await attempt();
      } catch (error) {
        if (!isTransient(error)) throw error;
        const { attempts } = connection.backoff;
        await backOff(connection, { failure, attempts, error }, signal);
      }
  };

  return { connection, once, retry };
}

/** The whole of a reply, at most `limitBytes`. Throws REGISTRY_FAILED over it, Transient if cut. */
export async function bodyOf(reply: Reply, what: string, limitBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of reply.read()) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw failed(`${what}: the reply is over ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export async function jsonOf(reply: Reply, what: string): Promise<unknown> {
  const bytes = await bodyOf(reply, what, SMALL_BODY_BYTES);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw failed(`${what}: the reply is not JSON`, {}, cause);
  }
}

/** Reads the rest of a reply that nobody needs, so that its connection can be used again. */
export async function drop(reply: Reply): Promise<void> {
  await start(reply);
}

/** What fits of a body, so that an endless or broken one explains as far as it goes. */
async function start(reply: Reply): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of reply.read()) {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > ASIDE_BYTES) break;
    }
  } catch {
    reply.body.destroy(); // the status is what counts
  }
  return Buffer.concat(chunks).toString('utf8', 0, ASIDE_BYTES);
}

async function checked(ask: Ask, reply: Reply, now: number): Promise<Reply> {
  if (ask.expect.includes(reply.status)) return reply;
  const body = await start(reply);
  ask.signal?.throwIfAborted();
  throw refusal(ask.what, reply, body, now);
}

function redirected(from: URL, location: string, what: string): URL {
  if (!URL.canParse(location, from)) throw failed(`${what}: redirect to no URL`);
  const to = new URL(location, from);
  const downgrade = from.protocol === 'https:' && to.protocol !== 'https:';
  if (downgrade || !/^https?:$/.test(to.protocol))
    throw failed(`${what}: redirect to ${to.origin}`);
  return to;
}

function headersOf(raw: Record<string, string | string[] | undefined>): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(raw))
    for (const value of [values].flat()) headers.append(name, value);
  return headers;
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : 'the connection failed';
