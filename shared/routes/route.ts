// What an endpoint is. The client, the router, the OpenAPI document and the CLI all read the same
// rows, so none of them can fall behind.

import type { z } from 'zod';

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With `{name}` for each key of `params`. */
  readonly path: string;
  /** The least that the caller has to be. Roles include the ones before: viewer, operator, admin. */
  readonly caller: 'anyone' | 'node' | 'viewer' | 'operator' | 'admin';
  /** One line, imperative. */
  readonly summary: string;
  readonly params: z.ZodObject;
  /** Strings, as they stand in the URL. */
  readonly query: z.ZodObject;
  readonly body: z.ZodType;
  readonly reply: z.ZodType;
  /** Request headers that mean something here, beside those of every route. */
  readonly headers?: readonly ('if-none-match' | 'if-match' | 'last-event-id')[];
  /** Whether a good reply has an ETag. */
  readonly etag?: true;
  /** Of a good reply; 200 without it. */
  readonly status?: 200 | 201 | 202;
  /** Largest body, in bytes; 64 KiB without it. */
  readonly bodyBytesMax?: number;
  /**
   * JSON without it. An `events` reply is text/event-stream of `reply`; a `socket` is a WebSocket;
   * `bytes` are a file, whole only when the response ended as it should.
   */
  readonly form?: 'events' | 'socket' | 'text' | 'bytes';
}

export type Params<R extends Route> = z.infer<R['params']>;
export type Query<R extends Route> = z.infer<R['query']>;
export type Body<R extends Route> = z.infer<R['body']>;
export type Reply<R extends Route> = z.infer<R['reply']>;
