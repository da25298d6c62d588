// A Redfish client (DSP0266): one session, JSON in and out, ETags on changes, tasks followed to their
// end. Knows no resource.

import { type Dispatcher, request } from 'undici';
import type { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { problemOf } from './problem.ts';
import { ServiceRoot } from './schema.ts';
import { pauseMs, taskVerdict } from './task.ts';
import { isCertificateError, shownFingerprint, untrusted } from './tls.ts';

export interface RedfishOptions {
  readonly url: URL;
  readonly user: string;
  readonly password: string;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  /** Of one request, from its first byte to the last of the answer. */
  readonly requestMs?: number;
}

export interface Redfish {
  readonly root: z.infer<typeof ServiceRoot>;
  get<S extends z.ZodType>(path: string, schema: S, signal: AbortSignal): Promise<z.infer<S>>;
  /** Changes what it was last seen as; seen anew, and tried again, when somebody else was quicker. */
  patch(path: string, body: unknown, asked: string, signal: AbortSignal): Promise<void>;
  /** An action, to the end of its task. */
  post(path: string, body: unknown, asked: string, signal: AbortSignal): Promise<void>;
  /** Ends the session. */
  close(signal: AbortSignal): Promise<void>;
}

interface Response {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

const BODY_MAX = 4 * 1024 * 1024;
const PATCH_ATTEMPTS = 3;
const BUSY_ATTEMPTS = 5;
const TASK_LIMIT_MS = 10 * 60_000;
const REQUEST_MS = 45_000;

/** Throws BMC_DENIED, BMC_UNTRUSTED, BMC_FAILED, LINK_DOWN or TIMEOUT. */
export async function openRedfish(options: RedfishOptions, signal: AbortSignal): Promise<Redfish> {
  const { clock, dispatcher, requestMs = REQUEST_MS } = options;
  let token: string | null = null;
  let session: string | null = null;

  async function send(method: Dispatcher.HttpMethod, path: string, more: More): Promise<Response> {
    const headers = {
      accept: 'application/json',
      'odata-version': '4.0',
      ...(more.body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== null && { 'x-auth-token': token }),
      ...more.headers,
    };
    const body = more.body === undefined ? null : JSON.stringify(more.body);
    const target = sameService(options.url, path);
    // The dispatcher's limits are between bytes: an answer that drips would never end.
    const signal = AbortSignal.any([more.signal, AbortSignal.timeout(requestMs)]);
    try {
      const got = await request(target, { method, headers, body, dispatcher, signal });
      return { status: got.statusCode, headers: got.headers, body: await jsonOf(got.body) };
    } catch (cause) {
      throw await unreachable(options.url, cause, more.signal);
    }
  }

  async function login(until: AbortSignal): Promise<void> {
    token = null;
    const body = { UserName: options.user, Password: options.password };
    const path = root.Links.Sessions['@odata.id'];
    const reply = await send('POST', path, { body, signal: until });
    if (reply.status >= 400) throw problemOf(reply.status, reply.body, 'logging in');
    token = textOf(reply.headers['x-auth-token']);
    session = textOf(reply.headers.location) ?? idOf(reply.body);
    if (token !== null) return;
    throw failed('logging in: the BMC gave no session token');
  }

  /** A session that the BMC has dropped is made anew, once; one that is busy is asked again. */
  async function ask(method: Dispatcher.HttpMethod, path: string, more: More): Promise<Response> {
    let renewed = false;
    for (let busy = 0; ; ) {
      const reply = await send(method, path, more);
      if (reply.status === 401 && !renewed) {
        renewed = true;
        await login(more.signal);
      } else if (reply.status === 503 && busy < BUSY_ATTEMPTS) {
        busy += 1;
        await clock.sleep(pauseMs(reply.headers['retry-after'], clock.now()), more.signal);
      } else return reply;
    }
  }

  async function settle(reply: Response, asked: string, until: AbortSignal): Promise<void> {
    const limit = clock.monotonic() + TASK_LIMIT_MS;
    const monitor = textOf(reply.headers.location);
    for (let seen = reply; ; ) {
      const verdict = taskVerdict(seen.status, seen.body, asked);
      if (verdict === 'done') return;
      if (monitor === null) throw failed(`${asked}: the BMC began a task and did not say where`);
      if (clock.monotonic() > limit) throw late(asked);
      await clock.sleep(pauseMs(seen.headers['retry-after'], clock.now()), until);
      seen = await ask('GET', monitor, { signal: until });
    }
  }

  const read = await send('GET', '/redfish/v1/', { signal });
  if (read.status >= 400) throw problemOf(read.status, read.body, 'reading /redfish/v1/');
  const root = understood(ServiceRoot, read.body, '/redfish/v1/');
  await login(signal);

  return {
    root,
    async get(path, schema, until) {
      const reply = await ask('GET', path, { signal: until });
      if (reply.status >= 400) throw problemOf(reply.status, reply.body, `reading ${path}`);
      return understood(schema, reply.body, path);
    },
    async patch(path, body, asked, until) {
      for (let attempt = 1; ; attempt += 1) {
        const seen = await ask('GET', path, { signal: until });
        if (seen.status >= 400) throw problemOf(seen.status, seen.body, asked);
        const etag = textOf(seen.headers.etag) ?? etagOf(seen.body);
        const headers = etag === null ? {} : { 'if-match': etag };
        const reply = await ask('PATCH', path, { body, headers, signal: until });
        if (reply.status === 412 && attempt < PATCH_ATTEMPTS) continue;
        return await settle(reply, asked, until);
      }
    },
    async post(path, body, asked, until) {
      await settle(await ask('POST', path, { body, signal: until }), asked, until);
    },
    async close(until) {
      if (session === null) return;
      const { status, body } = await send('DELETE', session, { signal: until });
      session = null;
      // A session that is gone already is ended as well.
      if (status >= 400 && status !== 401 && status !== 404)
        throw problemOf(status, body, 'logging out');
    },
  };
}

interface More {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** A link of a response never leads the password or the token to another host. */
function sameService(base: URL, path: string): URL {
  const target = new URL(path, base);
  if (target.origin === base.origin) return target;
  throw failed(`the BMC at ${base.host} points to ${target.host}`);
}

async function jsonOf(body: Dispatcher.ResponseData['body']): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    if (size > BODY_MAX) throw failed(`the BMC answers with more than ${BODY_MAX} bytes`);
    chunks.push(chunk as Buffer);
  }
  try {
    return size === 0 ? null : JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    // A web page in the place of an error body: the status says enough.
    return null;
  }
}

function understood<S extends z.ZodType>(schema: S, body: unknown, path: string): z.infer<S> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  throw failed(`${path} of the BMC is not as Redfish has it${field && `: ${field}`}`);
}

async function unreachable(url: URL, cause: unknown, signal: AbortSignal): Promise<unknown> {
  if (cause instanceof BilletError) return cause;
  if (signal.aborted) return signal.reason;
  if (isCertificateError(cause)) return untrusted(url, await shownFingerprint(url), cause);
  const { name, code: said, message } = cause as NodeJS.ErrnoException;
  const code = typeof said === 'string' ? said : message;
  const timedOut = /TIMEOUT/.test(code) || name === 'TimeoutError';
  return new BilletError(
    timedOut ? 'TIMEOUT' : 'LINK_DOWN',
    `the BMC at ${url.host} ${timedOut ? 'takes too long to answer' : 'does not answer'}: ${code}`,
    {
      hint: 'is it reached from here (its own network, a VPN), and is Redfish switched on in it?',
      cause,
    },
  );
}

const etagOf = (body: unknown) =>
  textOf((body as { '@odata.etag'?: string } | null)?.['@odata.etag']);

const idOf = (body: unknown) => textOf((body as { '@odata.id'?: string } | null)?.['@odata.id']);

const textOf = (value: string | readonly string[] | undefined): string | null =>
  typeof value === 'string' ? value : (value?.[0] ?? null);

const failed = (message: string) =>
  new BilletError('BMC_FAILED', message, {
    hint: 'update the firmware of the BMC, or do it by hand: --transport manual',
  });

const late = (asked: string) =>
  new BilletError('TIMEOUT', `${asked}: its task takes over ${TASK_LIMIT_MS / 60_000} minutes`, {
    hint: 'look at the task in the BMC; a restart of the BMC (not of the machine) often helps',
  });
