// Real TLS 1.3 connections with client certificates, fresh and resumed, against the peer gate.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { NODE_LIFETIME_MS, RENEW_GRACE_MS } from '#shared/certificate.ts';
import type { Code } from '#shared/errors.ts';
import { BilletError } from '#shared/errors.ts';
import type { Serial } from '#shared/schema/ids.ts';
import { TrustDomain } from '#shared/spiffe.ts';
import { openAuthorities } from './authorities.ts';
import { id, instance, trustDomain, uri, type Workshop, withWorkshop } from './ca-fixture.ts';
import { issueNodeCertificate, issueServerCertificate } from './issuer.ts';
import { type CertificateGate, certificateGate } from './peer.ts';

/** What the server made of a connection, and the session that the client may come back with. */
interface Seen {
  readonly verdict: string;
  readonly resumed: boolean;
  readonly session: Buffer;
}

/** A server that sends the gate's verdict to whoever connects. */
async function withServer(
  { authority, clock }: Workshop,
  gate: CertificateGate,
  work: (connect: (options: tls.ConnectionOptions) => Promise<Seen>) => Promise<void>,
): Promise<void> {
  const made = await issueServerCertificate(authority, { names: ['127.0.0.1'], now: clock.now() });
  const server = tls.createServer({
    key: made.key,
    cert: made.chain,
    ca: authority.certificatePem,
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(`${verdictOf(gate, socket, clock.now())} ${socket.isSessionReused()}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    await work((options) =>
      visit({ port, host: '127.0.0.1', ca: authority.certificatePem, ...options }),
    );
  } finally {
    server.close();
  }
}

function verdictOf(gate: CertificateGate, socket: tls.TLSSocket, now: number): string {
  try {
    const peer = gate.identify(socket.getPeerX509Certificate());
    gate.admit(peer, now);
    return peer.instance;
  } catch (error) {
    return error instanceof BilletError ? error.code : String(error);
  }
}

async function visit(options: tls.ConnectionOptions): Promise<Seen> {
  const socket = tls.connect(options);
  let session = Buffer.alloc(0);
  let said = '';
  socket.on('session', (ticket) => {
    session = ticket;
  });
  socket.on('data', (chunk) => {
    said += chunk;
  });
  await once(socket, 'close');
  const [verdict = '', resumed = ''] = said.split(' ');
  return { verdict, resumed: resumed === 'true', session };
}

async function enrolled(shop: Workshop, name: string, now = shop.clock.now()) {
  const csr = shop.csr(name);
  const { pem, serial } = await issueNodeCertificate(shop.authority, { csr, id, now });
  return { serial, options: { key: readFileSync(shop.path(`${name}.key`), 'utf8'), cert: pem } };
}

test('a node is known over TLS 1.3, and once revoked is refused on new and resumed sessions', () =>
  withWorkshop(async (shop) => {
    const revoked = new Set<Serial>();
    const isRevoked = (serial: Serial) => revoked.has(serial);
    const gate = certificateGate({ authorities: shop.authority, trustDomain, isRevoked });
    await withServer(shop, gate, async (connect) => {
      const { serial, options } = await enrolled(shop, 'node');
      const first = await connect(options);
      assert.deepEqual([first.verdict, first.resumed], [instance, false]);
      const second = await connect({ ...options, session: first.session });
      assert.deepEqual([second.verdict, second.resumed], [instance, true]);
      revoked.add(serial);
      const third = await connect({ ...options, session: first.session });
      assert.deepEqual([third.verdict, third.resumed], ['CERTIFICATE_REVOKED', true]);
      assert.equal((await connect(options)).verdict, 'CERTIFICATE_REVOKED');
    });
  }));

test('no certificate, one of another CA, and one without its key get nowhere', () =>
  withWorkshop(async (shop) => {
    const { authority, clock, openssl } = shop;
    const gate = certificateGate({ authorities: authority, trustDomain, isRevoked: () => false });
    await withServer(shop, gate, async (connect) => {
      assert.equal((await connect({})).verdict, 'CERTIFICATE_REQUIRED');
      const other = await openAuthorities({ directory: shop.path('other'), trustDomain, clock });
      const stranger = await enrolled({ ...shop, authority: other }, 'stranger');
      assert.equal((await connect(stranger.options)).verdict, 'CERTIFICATE_INVALID');
      openssl(
        'req',
        '-x509',
        '-newkey',
        'ed25519',
        '-nodes',
        '-keyout',
        'self.key',
        '-out',
        'self.crt',
        '-subj',
        '/',
        '-config',
        'req.cnf',
        '-addext',
        'extendedKeyUsage=clientAuth',
      );
      const [key, cert] = ['self.key', 'self.crt'].map((file) =>
        readFileSync(shop.path(file), 'utf8'),
      );
      assert.equal((await connect({ key, cert })).verdict, 'CERTIFICATE_INVALID');
    });
  }));

/** The code with which the gate refuses the certificate; 'admitted' when it does not. */
function refusal(gate: CertificateGate, pem: string, now: number, graceMs = 0): Code | 'admitted' {
  try {
    gate.admit(gate.identify(new X509Certificate(pem)), now, { graceMs });
    return 'admitted';
  } catch (error) {
    if (error instanceof BilletError) return error.code;
    throw error;
  }
}

test('a certificate counts in its time; one that ran out can still be renewed for 90 days', () =>
  withWorkshop(async (shop) => {
    const { authority, clock } = shop;
    const gate = certificateGate({ authorities: authority, trustDomain, isRevoked: () => false });
    const now = clock.now();
    const { cert } = (await enrolled(shop, 'node', now)).options;
    const end = now + NODE_LIFETIME_MS;
    const minute = 60_000;
    assert.equal(refusal(gate, cert, end - minute), 'admitted');
    assert.equal(refusal(gate, cert, end + minute), 'CERTIFICATE_EXPIRED');
    assert.equal(refusal(gate, cert, end + minute, RENEW_GRACE_MS), 'admitted');
    assert.equal(
      refusal(gate, cert, end + RENEW_GRACE_MS + minute, RENEW_GRACE_MS),
      'CERTIFICATE_EXPIRED',
    );
    assert.equal(refusal(gate, cert, now - 3_600_000), 'admitted');
    // Issued while the clock here was ahead: its holder is not locked out until that time comes.
    assert.equal(refusal(gate, cert, now - 48 * 3_600_000), 'admitted');
    const strict = certificateGate({ authorities: authority, trustDomain, isRevoked: () => true });
    assert.equal(refusal(strict, cert, end + minute, RENEW_GRACE_MS), 'CERTIFICATE_REVOKED');
  }));

test('a CA that only calls itself by the name of ours signs nothing', () =>
  withWorkshop(async (shop) => {
    const { authority, clock, openssl } = shop;
    const gate = certificateGate({ authorities: authority, trustDomain, isRevoked: () => false });
    const name = authority.certificate.subject.replace(/^/, '/').replace('\n', '/');
    shop.csr('node');
    shop.write(
      'node.ext',
      `extendedKeyUsage=clientAuth\nsubjectAltName=URI:${uri}\nauthorityKeyIdentifier=none\n`,
    );
    const leafOf = (ca: string, key: string) => {
      const files = ['-in', 'node.csr', '-CA', ca, '-CAkey', key, '-extfile', 'node.ext'];
      return openssl('x509', '-req', '-set_serial', '7', ...files);
    };
    openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', 'fake.key', '-out', 'fake.crt', '-subj', name, '-config', 'req.cnf'],
    );
    const forged = leafOf('fake.crt', 'fake.key');
    assert.ok(new X509Certificate(forged).checkIssued(authority.certificate));
    assert.equal(refusal(gate, forged, clock.now()), 'CERTIFICATE_INVALID');
    assert.equal(refusal(gate, leafOf('ca/ca.crt', 'ca/ca.key'), clock.now() + 60_000), 'admitted');
  }));

test('certificates of this CA for servers, for another trust domain, or its own, are no nodes', () =>
  withWorkshop(async (shop) => {
    const { authority, clock } = shop;
    const now = clock.now();
    const gate = certificateGate({ authorities: authority, trustDomain, isRevoked: () => false });
    const server = await issueServerCertificate(authority, { names: ['x'], now });
    const elsewhere = await issueNodeCertificate(authority, {
      csr: shop.csr('node'),
      id: { ...id, trustDomain: TrustDomain.parse('elsewhere') },
      now,
    });
    for (const pem of [server.chain, elsewhere.pem, authority.certificatePem])
      assert.equal(refusal(gate, pem, now), 'CERTIFICATE_INVALID');
  }));
