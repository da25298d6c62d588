// Connections to one coordinator with one certificate: verified against exactly the given CA. A
// renewed certificate is a new session.

import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { type RouteClient, routeClient } from '#shared/client/route-client.ts';
import { cipherOrder } from './cipher-order.ts';

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
  /** A connection of its own, for one WebSocket. */
  openWire(): Wire;
  /** Ends connections, in the middle of a request as well. */
  close(): Promise<void>;
}

/** A WebSocket cannot end a connection whose other side is silent: whoever holds this can. */
export interface Wire {
  readonly dispatcher: Dispatcher;
  cut(): void;
}

/** Longer than two heartbeats: else each one would pay for a handshake. */
const KEEP_ALIVE_MS = 80_000;
const CONNECT_TIMEOUT_MS = 15_000;
const CONNECTIONS_MAX = 8;

/** Asked of the kernel once: it takes its time on machines with hundreds of processors. */
let ciphers: string | null = null;

export function openSession({ coordinator, ca, client }: SessionOptions): Session {
  ciphers ??= cipherOrder(readFileSync('/proc/cpuinfo', 'utf8'));
  const connect = buildConnector({
    ca,
    minVersion: 'TLSv1.3',
    ciphers,
    timeout: CONNECT_TIMEOUT_MS,
    ...(client ? { cert: client.certificate, key: client.key } : {}),
  });
  const dispatcher = new Agent({
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: 10 * KEEP_ALIVE_MS,
    connections: CONNECTIONS_MAX,
    connect,
  });
  const wires = new Set<Wire>();

  function openWire(): Wire {
    const sockets: Socket[] = [];
    const own = new Agent({
      connections: 1,
      connect: (options, callback) =>
        connect(options, (...[error, socket]) => {
          if (error !== null) return callback(error, null);
          sockets.push(socket);
          return callback(null, socket);
        }),
    });
    const wire: Wire = {
      dispatcher: own,
      cut() {
        wires.delete(wire);
        for (const socket of sockets) socket.destroy();
        void own.destroy();
      },
    };
    wires.add(wire);
    return wire;
  }

  return {
    client: routeClient({ dispatcher, baseUrl: coordinator }),
    dispatcher,
    coordinator,
    openWire,
    async close() {
      for (const wire of wires) wire.cut();
      await dispatcher.destroy();
    },
  };
}
