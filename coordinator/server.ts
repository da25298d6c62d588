// The two listeners: HTTPS with optional client certificates, and plain HTTP for boot files. Limits
// of connections and times, and the graceful end; what a request means is the router's.

import type { IncomingMessage } from 'node:http';
import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { BilletError } from '#shared/errors.ts';
import type { Serial } from '#shared/schema/ids.ts';
import { splitListen } from './config.ts';

/** Over twice the heartbeat interval, so that no heartbeat costs a handshake. */
const KEEP_ALIVE_MS = 90_000;
const HEADERS_MS = 10_000;
const HANDSHAKE_MS = 10_000;
const HEADER_BYTES_MAX = 16 * 1024;
/** A request that stands still for this long is over; streams write before that. */
const IDLE_MS = 120_000;
/** While stopping. */
const IDLE_CHECK_MS = 20;

export interface HttpsOptions {
  readonly listen: string;
  readonly key: string;
  /** The server's certificate, and what leads from it to the CAs. */
  readonly chain: string;
  readonly ca: string;
  readonly connectionsMax: number;
  readonly onRequest: RequestListener;
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  /** The serial of the connection's certificate; null without a valid one. */
  readonly serialOf: (socket: TLSSocket) => Serial | null;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** No new connections; resolves when those that are open have ended, at the latest by `deadline`. */
  stop(deadline: AbortSignal): Promise<void>;
}

export interface HttpsListener extends Listener {
  /** Ends each connection made with that certificate, resumed ones too. */
  disconnect(serial: Serial): void;
  /** For new connections. Tickets of sessions before it are worth nothing. */
  setCertificate(certificate: Pick<HttpsOptions, 'key' | 'chain' | 'ca'>): void;
}

/** Asks for a client certificate and refuses none: whether it will do is decided by the request. */
export async function listenHttps(options: HttpsOptions): Promise<HttpsListener> {
  const tls = {
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    // All suites of TLS 1.3 are good ones, and the other side knows which its CPU is fast at.
    honorCipherOrder: false,
  } as const;
  const server = createHttps({
    ...tls,
    key: options.key,
    cert: options.chain,
    ca: options.ca,
    handshakeTimeout: HANDSHAKE_MS,
    ...HTTP_LIMITS,
  });
  const bySerial = new Map<Serial, Set<Socket>>();
  server.on('secureConnection', (socket) => {
    const serial = options.serialOf(socket);
    if (serial === null) return;
    const sockets = bySerial.get(serial) ?? new Set();
    bySerial.set(serial, sockets.add(socket));
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0 && bySerial.get(serial) === sockets) bySerial.delete(serial);
    });
  });
  server.on('request', options.onRequest).on('upgrade', options.onUpgrade);
  server.maxConnections = options.connectionsMax;
  const listener = await start(server, options.listen);
  return {
    ...listener,
    disconnect(serial) {
      for (const socket of bySerial.get(serial) ?? []) socket.destroy();
    },
    setCertificate: ({ key, chain, ca }) =>
      server.setSecureContext({ key, cert: chain, ca, minVersion: tls.minVersion }),
  };
}

export async function listenHttp(options: {
  readonly listen: string;
  readonly connectionsMax: number;
  readonly onRequest: RequestListener;
}): Promise<Listener> {
  const server = createHttp(HTTP_LIMITS);
  server.on('request', options.onRequest);
  server.maxConnections = options.connectionsMax;
  return await start(server, options.listen);
}

const HTTP_LIMITS = {
  keepAliveTimeout: KEEP_ALIVE_MS,
  headersTimeout: HEADERS_MS,
  maxHeaderSize: HEADER_BYTES_MAX,
  // A blob may take long to arrive; JSON bodies have their own limit, and idle sockets IDLE_MS.
  requestTimeout: 0,
  connectionsCheckingInterval: 2_000,
} as const;

async function start(server: Server, listen: string): Promise<Listener> {
  const { host, port } = splitListen(listen);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.setTimeout(IDLE_MS);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new BilletError('CONFIG_INVALID', `cannot listen on ${listen}: ${cause.message}`, {
          hint: 'choose another address or port, or stop what has it',
          cause,
        }),
      ),
    );
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    host,
    port: address.port,
    async stop(deadline) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // Kept-alive connections fall idle one after the other, as their last answers go out.
      const idle = setInterval(() => server.closeIdleConnections(), IDLE_CHECK_MS);
      const force = () => {
        for (const socket of sockets) socket.destroy();
      };
      if (deadline.aborted) force();
      deadline.addEventListener('abort', force, { once: true });
      await closed;
      clearInterval(idle);
      deadline.removeEventListener('abort', force);
    },
  };
}
