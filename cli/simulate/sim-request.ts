// HTTPS requests of one simulated agent, with its own connection, certificate and session. Knows the
// node side's errors; knows no route.

import { Agent, request } from 'node:https';
import { problemError } from '#shared/client/problem.ts';
import { BilletError } from '#shared/errors.ts';

export interface Identity {
  readonly key: string;
  readonly cert: string;
}

export interface Reply {
  readonly status: number;
  readonly etag: string | null;
  readonly text: string;
}

export interface Requester {
  /** For WebSockets: takes over the connection that is open. */
  readonly pool: Agent;
  /** Throws what the coordinator answers, LINK_DOWN, or the signal's reason. */
  ask(method: 'GET' | 'POST', path: string, options?: RequestInput): Promise<Reply>;
  /** Ends connections on which nothing is under way. */
  rest(): void;
}

interface RequestInput {
  readonly body?: object;
  readonly ifNoneMatch?: string | null;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;

export function requester(options: {
  readonly url: string;
  readonly ca: string;
  /** Null before it has a certificate. */
  readonly identity: Identity | null;
  readonly signal: AbortSignal;
}): Requester {
  const { url, ca, identity, signal } = options;
  const pool = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 1 });
  const tls = { ca, minVersion: 'TLSv1.3', ...identity } as const;
  return {
    pool,
    rest: () => pool.destroy(),
    ask: (method, path, { body, ifNoneMatch = null, timeoutMs = TIMEOUT_MS } = {}) =>
      new Promise((resolve, reject) => {
        const fail = (error: Error) =>
          reject(signal.aborted ? signal.reason : linkDown(`${method} ${path}`, error));
        const asked = request(new URL(path, url), {
          method,
          agent: pool,
          ...tls,
          timeout: timeoutMs,
          signal,
          headers: {
            'content-type': 'application/json',
            ...(ifNoneMatch === null ? {} : { 'if-none-match': ifNoneMatch }),
          },
        });
        asked.on('error', fail);
        asked.on('timeout', () => asked.destroy(new Error(`no answer in ${timeoutMs / 1000} s`)));
        asked.on('response', (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk) => {
            text += chunk;
          });
          response.on('error', fail);
          response.on('end', () => {
            const status = response.statusCode ?? 0;
            if (status >= 400) reject(problemError(status, text, `${method} ${path}`));
            else resolve({ status, etag: response.headers.etag ?? null, text });
          });
        });
        asked.end(body === undefined ? undefined : JSON.stringify(body));
      }),
  };
}

/** LINK_DOWN, saying which limit of this machine it is, where it is one. */
export function linkDown(what: string, error: NodeJS.ErrnoException): BilletError {
  const why = error.code ?? '';
  return new BilletError('LINK_DOWN', `${what}: ${error.message}`, {
    hint: HINTS[why] ?? 'look at the log and the load of the coordinator',
    cause: error,
  });
}

const HINTS: Readonly<Record<string, string>> = {
  EMFILE: 'this process has too many open files: raise ulimit -n, or simulate fewer agents',
  ENFILE: 'this machine has too many open files: raise fs.file-max, or simulate fewer agents',
  EADDRNOTAVAIL:
    'no local port is left: widen net.ipv4.ip_local_port_range, or simulate fewer agents',
};
