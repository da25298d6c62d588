// A coordinator that misbehaves on demand, for the link of the agent: TLS and WebSocket are real, what
// it says is decided by the test. Its good answers are those of docs/wire.md.

import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Enrolled } from '../../agent/identity/ensure-enrolled.ts';
import { desiredOf, envelopeOf, INSTANCE } from '../../agent/reconcile/testing.ts';
import { sha256 } from '../../shared/digest.ts';
import type { Desired } from '../../shared/schema/desired.ts';

export interface Meeting {
  readonly what: 'desired' | 'heartbeat' | 'upgrade' | 'socket-heartbeat' | 'other';
  /** Of a request. */
  readonly request: IncomingMessage;
  readonly response: ServerResponse | null;
  readonly socket: WebSocket | null;
  readonly message: { readonly seq: number } | null;
}

export interface FakeCoordinator {
  readonly enrolled: Enrolled;
  desired: Desired;
  etag: string;
  /** True when it has dealt with it, in its own way; else the good answer is given. */
  misbehave: (meeting: Meeting) => boolean;
  /** What was met, in order. */
  readonly met: Meeting['what'][];
  /** Connections that are open now. */
  readonly connections: ReadonlySet<Socket>;
  readonly sockets: ReadonlySet<WebSocket>;
  close(): Promise<void>;
}

export const heartbeatReply = (etag: string) => ({
  desired: etag,
  tasks: 0,
  confirmed: null,
  intervalSeconds: 30,
});

export async function startFake(): Promise<FakeCoordinator> {
  const { key, certificate } = selfSigned();
  const connections = new Set<Socket>();
  const channels = new WebSocketServer({ noServer: true });
  const met: Meeting['what'][] = [];
  const meet = (meeting: Meeting): boolean => {
    met.push(meeting.what);
    return fake.misbehave(meeting);
  };
  const server = createServer({ key, cert: certificate, minVersion: 'TLSv1.3' });
  server.on('secureConnection', (socket) => {
    connections.add(socket);
    socket.on('error', () => undefined).once('close', () => connections.delete(socket));
  });
  server.on('request', (request, response) => {
    request.resume().once('end', () => {
      const what = request.url?.startsWith('/v1/node/desired')
        ? 'desired'
        : request.url === '/v1/node/heartbeat'
          ? 'heartbeat'
          : 'other';
      if (!meet({ what, request, response, socket: null, message: null }))
        answer(what, request, response);
    });
  });

  function answer(what: Meeting['what'], request: IncomingMessage, response: ServerResponse): void {
    const body = { envelope: envelopeOf(fake.desired), rejected: [], good: null };
    const known = request.headers['if-none-match'] === fake.etag;
    if (what === 'heartbeat') send(response, 200, heartbeatReply(fake.etag));
    else if (what !== 'desired') send(response, 404, { code: 'NOT_FOUND', detail: '', hint: '' });
    else if (known) response.writeHead(304).end();
    else send(response, 200, body, { etag: fake.etag });
  }

  server.on('upgrade', (request, wire, head) => {
    wire.on('error', () => undefined);
    if (meet({ what: 'upgrade', request, response: null, socket: null, message: null })) return;
    channels.handleUpgrade(request, wire, head, (socket) => {
      socket.on('error', () => undefined);
      socket.on('message', (data) => {
        const message = JSON.parse(String(data)) as { seq: number };
        if (meet({ what: 'socket-heartbeat', request, response: null, socket, message })) return;
        const reply = heartbeatReply(fake.etag);
        socket.send(JSON.stringify({ type: 'reply', seq: message.seq, reply }));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;

  const privateKey = createPrivateKey(key);
  const fake: FakeCoordinator = {
    enrolled: {
      how: 'survived',
      key: { pem: key, privateKey, publicKey: createPublicKey(privateKey) },
      credentials: {
        format: 1,
        identity: {
          coordinator: `https://127.0.0.1:${port}`,
          ca: sha256(certificate),
          instance: INSTANCE,
        },
        certificate,
        ca: certificate,
        history: 'h1',
      },
    },
    desired: desiredOf(1, []),
    etag: '"h1.1"',
    misbehave: () => false,
    met,
    connections,
    sockets: channels.clients,
    async close() {
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

export function send(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

function selfSigned(): { key: string; certificate: string } {
  const dir = mkdtempSync(join(tmpdir(), 'billet-fake-'));
  const [key, certificate] = [join(dir, 'key'), join(dir, 'crt')];
  try {
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
        ...['-subj', '/CN=fake', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '30'],
        ...['-keyout', key, '-out', certificate],
      ],
      { stdio: 'ignore' },
    );
    return { key: readFileSync(key, 'utf8'), certificate: readFileSync(certificate, 'utf8') };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
