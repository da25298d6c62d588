// The CLI's connection to a coordinator: the route client over undici, trusting one CA and nothing
// else. Pages are gathered here; event streams are resumed in events-stream.ts.

import type { X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { type CallInput, type HttpResponse, routeClient } from '#shared/client/route-client.ts';
import { BilletError } from '#shared/errors.ts';
import type { Reply, Route } from '#shared/routes/route.ts';
import type { CommandIo } from './command-io.ts';
import type { LoadedContext } from './context.ts';

export interface Coordinator {
  readonly context: LoadedContext;
  /** Trusts the CA of the context. For what is no route: the registry. */
  readonly dispatcher: Dispatcher;
  /** The certificate that the coordinator showed last; null before the first connection. */
  readonly shown: X509Certificate | null;
  /** One request. Throws what the coordinator says, LINK_DOWN or TIMEOUT. */
  call<R extends Route>(route: R, input: CallInput<R>): Promise<Reply<R>>;
  /** A stream of a route of form `events`. */
  open<R extends Route>(route: R, input: CallInput<R>): Promise<HttpResponse>;
  close(): Promise<void>;
}

export function connect(io: CommandIo, context: LoadedContext): Coordinator {
  let shown: X509Certificate | null = null;
  const open = buildConnector({ ca: context.ca });
  const dispatcher = new Agent({
    connect: (options, callback) =>
      open(options, (...[error, socket]) => {
        if (error !== null) return callback(error, null);
        if (socket instanceof TLSSocket) shown = socket.getPeerX509Certificate() ?? null;
        return callback(null, socket);
      }),
    bodyTimeout: 0,
  });
  const client = routeClient({
    dispatcher,
    baseUrl: context.url,
    headers: { authorization: `Bearer ${context.credential}` },
  });
  return {
    context,
    dispatcher,
    get shown() {
      return shown;
    },
    async call(route, input) {
      const reply = await client.call(route, { signal: io.signal, ...input });
      if (reply !== null) return reply.body;
      throw new BilletError('INTERNAL', `${route.path} answered "not modified" unasked`, {
        hint: 'compare the versions of both sides with `billet status` and `billet version`',
      });
    },
    open: (route, input) => client.open(route, { signal: io.signal, ...input }),
    close: () => dispatcher.destroy(),
  };
}

interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** All items of a list, page by page. */
export async function listAll<T>(
  read: (query: { after?: string; limit: number }) => Promise<Page<T>>,
): Promise<readonly T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const page: Page<T> = await read({ limit: 1000, ...(after === null ? {} : { after }) });
    items.push(...page.items);
    after = page.next;
  } while (after !== null);
  return items;
}
