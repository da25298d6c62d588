// The least that a server in Node can do for a heartbeat: the same TLS, the same WebSocket library,
// and one reply that never changes. Reads nothing of what it gets but the number, checks nothing.

import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type RawData, WebSocketServer } from 'ws';
import { systemClock } from '#shared/clock.ts';
import type { TrustDomain } from '#shared/spiffe.ts';
import { openAuthorities } from '../../coordinator/ca/authorities.ts';
import { issueServerCertificate } from '../../coordinator/ca/issuer.ts';

const [directory = ''] = process.argv.slice(2);
const trustDomain = 'billet.internal' as TrustDomain;
const clock = systemClock;
const authority = await openAuthorities({ directory, trustDomain, clock });
const names = ['127.0.0.1'];
const { key, chain: cert } = await issueServerCertificate(authority, { names, now: clock.now() });

const REPLY = JSON.stringify({
  desired: `"${'0'.repeat(26)}.1.1"`,
  tasks: 0,
  confirmed: 1,
  intervalSeconds: 30,
  trusted: [authority.fingerprint],
});
const SEQ = /"seq":(\d+)/;
/** Where the number stands. */
const HEAD = 64;

const sockets = new WebSocketServer({
  noServer: true,
  clientTracking: false,
  perMessageDeflate: false,
});
const server = createServer({
  key,
  cert,
  ca: authority.bundlePem,
  requestCert: true,
  minVersion: 'TLSv1.3',
});
server.on('upgrade', (request, socket, head) =>
  sockets.handleUpgrade(request, socket, head, (channel) =>
    channel.on('message', (data: RawData) => {
      const [, seq] = SEQ.exec((data as Buffer).toString('latin1', 0, HEAD)) ?? [];
      channel.send(`{"type":"reply","seq":${seq},"reply":${REPLY}}`);
    }),
  ),
);
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stderr.write(`serving url=https://127.0.0.1:${port}\n`);
});
