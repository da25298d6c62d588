// Requests made by the real openssl, granted or refused, and the certificates checked by it.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { CLOCK_SKEW_MS, NODE_LIFETIME_MS } from '#shared/certificate.ts';
import { id, instance, uri, type Workshop, withWorkshop } from './ca-fixture.ts';
import { issueNodeCertificate, issueServerCertificate } from './issuer.ts';

const issue = ({ authority, clock }: Workshop, csr: string) =>
  issueNodeCertificate(authority, { csr, id, now: clock.now() });

const verify = ({ openssl }: Workshop, purpose: string, file: string) =>
  openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'ca/ca.crt', file);

for (const kind of ['ed25519', 'p256'] as const)
  test(`a request of openssl with a key of kind ${kind} becomes a strict certificate`, () =>
    withWorkshop(async (shop) => {
      const csr = shop.csr(
        'node',
        kind,
        '-subj',
        `/CN=${instance}`,
        '-addext',
        `subjectAltName=URI:${uri}`,
      );
      const issued = await issue(shop, csr);
      shop.write('node.crt', issued.pem);
      verify(shop, 'sslclient', 'node.crt');
      assert.throws(() => verify(shop, 'sslserver', 'node.crt'), /purpose/);
      const text = shop.openssl('x509', '-in', 'node.crt', '-noout', '-text');
      assert.match(text, new RegExp(`Subject Alternative Name: critical\\s+URI:${uri}\n`));
      assert.match(text, /Subject: \n/);
      const { serialNumber, validFromDate, validToDate } = new X509Certificate(issued.pem);
      assert.equal(serialNumber.toLowerCase(), issued.serial);
      assert.match(issued.serial, /^[4-7][0-9a-f]{31}$/);
      assert.deepEqual(
        [validFromDate.getTime(), validToDate.getTime()],
        [issued.notBefore, issued.notAfter],
      );
      assert.equal(issued.notAfter - issued.notBefore, NODE_LIFETIME_MS + CLOCK_SKEW_MS);
      const [mine, theirs] = ['node.key', 'node.crt'].map((file) =>
        file.endsWith('key')
          ? shop.openssl('pkey', '-in', file, '-pubout')
          : shop.openssl('x509', '-in', file, '-noout', '-pubkey'),
      );
      assert.equal(mine, theirs);
    }));

test('two certificates for one request differ in their serials', () =>
  withWorkshop(async (shop) => {
    const csr = shop.csr('node');
    assert.notEqual((await issue(shop, csr)).serial, (await issue(shop, csr)).serial);
  }));

test('requests that ask for more than a node may have are refused', () =>
  withWorkshop(async (shop) => {
    const bad: Parameters<Workshop['csr']>[] = [
      ['rsa', 'rsa'],
      ['p384', 'p384'],
      ['subject', 'ed25519', '-subj', '/CN=i-fedcba9876543210'],
      ['longer', 'ed25519', '-subj', `/CN=${instance}/O=admins`],
      ['twice', 'ed25519', '-subj', `/CN=${instance}+CN=admin`, '-multivalue-rdn'],
      ['dns', 'p256', '-addext', 'subjectAltName=DNS:coordinator'],
      ['foreign', 'p256', '-addext', `subjectAltName=URI:${uri}x`],
      ['both', 'p256', '-addext', `subjectAltName=URI:${uri},IP:10.0.0.1`],
      ['ca', 'p256', '-addext', 'basicConstraints=critical,CA:TRUE'],
      ['server', 'p256', '-addext', 'extendedKeyUsage=serverAuth'],
    ];
    for (const args of bad)
      await assert.rejects(issue(shop, shop.csr(...args)), { code: 'CSR_REFUSED' }, args.join(' '));
  }));

test('a request whose signature is not by its key, or that is none, is refused', () =>
  withWorkshop(async (shop) => {
    for (const kind of ['ed25519', 'p256'] as const) {
      const csr = shop.csr(kind, kind);
      const der = Buffer.from(csr.replaceAll(/-----.*-----|\s/g, ''), 'base64');
      der.writeUInt8(der.readUInt8(der.length - 3) ^ 1, der.length - 3);
      const pem = (body: string) =>
        `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`;
      const bad = [
        pem(der.toString('base64')),
        pem(der.subarray(0, 40).toString('base64')),
        pem(''),
        pem('AAAA'),
        csr + csr,
        csr.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'),
        pem('MIIB'.repeat(4_000)),
        '',
      ];
      for (const each of bad) await assert.rejects(issue(shop, each), { code: 'CSR_REFUSED' });
    }
  }));

test('a server certificate has its names and its CA in the chain, and passes the strict check', () =>
  withWorkshop(async (shop) => {
    const now = shop.clock.now();
    const names = ['coordinator.example', '*.example', '10.0.2.2', '::1'];
    const server = await issueServerCertificate(shop.authority, { names, now });
    shop.write('server.crt', server.chain);
    verify(shop, 'sslserver', 'server.crt');
    const leaf = new X509Certificate(server.chain);
    assert.equal(leaf.checkHost('coordinator.example'), 'coordinator.example');
    assert.equal(leaf.checkIP('10.0.2.2'), '10.0.2.2');
    assert.ok(leaf.checkIP('::1'));
    assert.equal(server.chain.slice(leaf.toString().length), shop.authority.certificatePem);
    assert.ok(server.renewAt < server.notAfter && server.renewAt > now);
    for (const bad of [[], ['https://x'], ['a b'], ['x:8443']])
      await assert.rejects(issueServerCertificate(shop.authority, { names: bad, now }), {
        code: 'CONFIG_INVALID',
      });
  }));
