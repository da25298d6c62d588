// Connections to one coordinator with one certificate: verified against exactly the given CA. A
// renewed certificate is a new session.

import { Agent } from 'undici';
import { type RouteClient, routeClient } from '#shared/client/route-client.ts';

export interface SessionOptions {
  readonly coordinator: string;
  /** PEM of the only CAs that are believed. */
  readonly ca: string;
  /** PEM of certificate and key; left out before enrollment. */
  readonly client?: { readonly certificate: string; readonly key: string };
}

export interface Session {
  readonly client: RouteClient;
  /** For WebSocket and registry: the same connections and trust. */
  readonly dispatcher: Agent;
  readonly coordinator: string;
  /** Ends connections, in the middle of a request as well. */
  close(): Promise<void>;
}

/** Longer than two heartbeats: else each one would pay for a handshake. */
const KEEP_ALIVE_MS = 80_000;
const CONNECT_TIMEOUT_MS = 15_000;
const CONNECTIONS_MAX = 8;

export function openSession({ coordinator, ca, client }: SessionOptions): Session {
  const dispatcher = new Agent({
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: 10 * KEEP_ALIVE_MS,
    connections: CONNECTIONS_MAX,
    connect: {
      ca,
      minVersion: 'TLSv1.3',
      timeout: CONNECT_TIMEOUT_MS,
      ...(client ? { cert: client.certificate, key: client.key } : {}),
    },
  });
  return {
    client: routeClient({ dispatcher, baseUrl: coordinator }),
    dispatcher,
    coordinator,
    close: () => dispatcher.destroy(),
  };
}
