// What a route handler is: parsed input and a proven caller in, answer out. No request, no response.

import type { Body, Params, Query, Reply, Route } from '#shared/routes/route.ts';
import type { InstanceId, Serial } from '#shared/schema/ids.ts';
import type { Role } from '#shared/schema/records.ts';
import type { Deps } from '../deps.ts';

export type Caller =
  | { readonly role: 'anyone' }
  /** Proven by a certificate that was checked for this request; `expired` only where renewing. */
  | { readonly role: 'node'; readonly id: InstanceId; readonly serial: Serial }
  /** Proven by a credential of that name. */
  | { readonly role: Role; readonly name: string };

export interface Call<R extends Route> {
  readonly caller: Caller;
  readonly params: Params<R>;
  readonly query: Query<R>;
  readonly body: Body<R>;
  /** If-None-Match, as sent. */
  readonly ifNoneMatch: string | null;
  /** If-Match as a revision; null without one. */
  readonly ifMatch: number | null;
  readonly lastEventId: string | null;
  /** Address of the peer, for limits and events. */
  readonly address: string;
  /** Aborted when the caller is gone, or the server stops. */
  readonly signal: AbortSignal;
}

/** An event of a stream: what stands in its data, and its id; null when it cannot be resumed from. */
export interface StreamItem<T> {
  readonly id: string | null;
  readonly data: T;
}

export type Answer<R extends Route> = R extends { form: 'events' }
  ? { readonly stream: AsyncIterable<StreamItem<Reply<R>> | null> }
  : R extends { form: 'bytes' }
    ? { readonly bytes: AsyncIterable<Uint8Array> }
    :
        | { readonly body: Reply<R>; readonly etag?: string }
        /** 304, with the ETag that still holds. */
        | { readonly unchanged: string };

export type Handler<R extends Route> = (call: Call<R>, deps: Deps) => Promise<Answer<R>>;

/** Who did it, as events name it. */
export function actorOf(caller: Caller): string {
  if (caller.role === 'anyone') return 'anyone';
  return caller.role === 'node' ? `node:${caller.id}` : `${caller.role}:${caller.name}`;
}
