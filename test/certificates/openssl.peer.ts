// OpenSSL on what the coordinator issues and how it speaks TLS: certificates and lists by its strict
// rules, handshakes, resumption after a revocation, and what is refused.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Route } from '../../shared/routes/route.ts';
import { routes } from '../../shared/routes/table.ts';
import { Serial } from '../../shared/schema/ids.ts';
import {
  bodyOf,
  csrOf,
  type Fixture,
  startFixture,
  type TestNode,
} from '../coordinator/coordinator-fixture.ts';
import { type Openssl, startOpenssl, writeNode } from './openssl-fixture.ts';

let fixture: Fixture;
let openssl: Openssl;
let node: TestNode;

before(async () => {
  fixture = await startFixture();
  openssl = await startOpenssl(fixture);
  node = await fixture.node('peer-1');
  writeNode(openssl, 'node', node);
});
after(async () => {
  await openssl.close();
  await fixture.close();
});

const anyone = () => fixture.client().client;
const serialOf = async (file: string) => {
  const { text } = await openssl.run('x509', '-in', file, '-noout', '-serial');
  return Serial.parse(text.trim().split('=')[1]?.toLowerCase());
};
const revoke = async (serial: Serial) =>
  bodyOf(await fixture.admin.call(routes.revokeCertificate, { params: { serial } }));

test('certificates are strict X.509 for their purpose, their names and no other', async () => {
  openssl.write('ca.crt', bodyOf(await anyone().call(routes.getCa, {})));
  const verify = (purpose: string, ca: string, file: string, ...more: string[]) =>
    openssl.run('verify', '-x509_strict', '-purpose', purpose, '-CAfile', ca, ...more, file);
  const { text: shown } = await openssl.connect({ args: ['-showcerts'] });
  openssl.write('server.crt', shown);
  assert.equal((await verify('sslclient', 'ca.crt', 'node.crt')).code, 0);
  assert.equal((await verify('sslserver', 'ca.crt', 'server.crt')).code, 0);
  assert.match(
    (await verify('sslserver', 'ca.crt', 'node.crt')).text,
    /unsuitable certificate purpose/,
  );
  assert.match(
    (await verify('sslclient', 'ca.crt', 'server.crt')).text,
    /unsuitable certificate purpose/,
  );
  const named = (host: string) =>
    verify('sslserver', 'ca.crt', 'server.crt', '-verify_hostname', host);
  assert.equal((await named('localhost')).code, 0);
  assert.match((await named('elsewhere')).text, /Hostname mismatch/i);
});

test('the revocation list is one that openssl reads, checks and goes by', async () => {
  const other = await fixture.node('crl-1');
  writeNode(openssl, 'other', other);
  openssl.write('ca.crt', bodyOf(await anyone().call(routes.getCa, {})));
  const check = async (file: string) => {
    openssl.write('list.crl', bodyOf(await anyone().call(routes.getCrl, {})));
    const lists = ['-crl_check', '-CRLfile', 'list.crl', '-CAfile', 'ca.crt'];
    return await openssl.run('verify', '-x509_strict', ...lists, file);
  };
  assert.equal((await check('other.crt')).code, 0);
  const read = await openssl.run('crl', '-in', 'list.crl', '-noout', '-CAfile', 'ca.crt', '-text');
  assert.match(read.text, /verify OK/);
  assert.match(read.text, /Version 2[\s\S]*CRL Number/);
  await revoke(await serialOf('other.crt'));
  assert.match((await check('other.crt')).text, /certificate revoked/);
  assert.equal((await check('node.crt')).code, 0);
});

test('TLS 1.3 and nothing older; no early data, no compression, no weak suite, no other protocol', async () => {
  const { code, text } = await openssl.connect({ as: 'node', args: ['-verify_return_error'] });
  assert.equal(code, 0, text);
  assert.match(text, /New, TLSv1\.3, Cipher is TLS_AES_256_GCM_SHA384/);
  assert.match(text, /Verify return code: 0 \(ok\)/);
  assert.match(text, /Compression: NONE/);
  assert.match(text, /Acceptable client certificate CA names\n.*Billet CA/);
  assert.doesNotMatch(text, /Max Early Data: [1-9]/);
  for (const version of ['-tls1_2', '-tls1_1', '-tls1']) {
    const old = await openssl.connect({ args: [version, '-cipher', 'ALL:@SECLEVEL=0'] });
    assert.notEqual(old.code, 0);
    assert.match(old.text, /alert protocol version|no protocols available|unsupported protocol/);
  }
  const weak = await openssl.connect({ args: ['-ciphersuites', 'TLS_AES_128_CCM_8_SHA256'] });
  assert.match(weak.text, /handshake failure/);
  const http = await openssl.connect({ args: ['-alpn', 'http/1.1'] });
  assert.match(http.text, /ALPN protocol: http\/1\.1/);
  const h2 = await openssl.connect({ args: ['-alpn', 'h2'] });
  assert.match(h2.text, /no application protocol|No ALPN negotiated/);
});

test('whatever name a client asks for, it is shown the one certificate, and is to check it itself', async () => {
  const check = async (servername: string) => {
    const args = [
      '-servername',
      servername,
      '-verify_hostname',
      servername,
      '-verify_return_error',
    ];
    return await openssl.connect({ args });
  };
  assert.equal((await check('localhost')).code, 0);
  const wrong = await check('bank.example');
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.text, /Hostname mismatch/i);
});

test('renegotiation, which TLS 1.3 has not, is not to be had', async () => {
  const said = await openssl.connect({ as: 'node', commands: 'R\n' });
  assert.match(said.text, /RENEGOTIATING/);
  assert.match(said.text, /wrong ssl version/);
  assert.match(said.text, /Secure Renegotiation IS NOT supported/);
});

test('a session is resumed, but neither a revocation nor another CA is outlived by its ticket', async () => {
  const guest = await fixture.node('resume-1');
  writeNode(openssl, 'guest', guest);
  const session = openssl.path('session.pem');
  const request = 'GET /v1/node/desired';
  const first = await openssl.connect({ as: 'guest', request, args: ['-sess_out', session] });
  assert.equal(first.status, 200, first.text);
  const again = await openssl.connect({ as: 'guest', request, args: ['-sess_in', session] });
  assert.match(again.text, /Reused, TLSv1\.3/);
  assert.equal(again.status, 200);
  await revoke(await serialOf('guest.crt'));
  const late = await openssl.connect({ as: 'guest', request, args: ['-sess_in', session] });
  assert.match(late.text, /Reused, TLSv1\.3/);
  assert.equal(late.status, 401);
  assert.match(late.text, /CERTIFICATE_REVOKED/);
  assert.match(late.text, /"hint":"an operator can order a boot/);
  // The ticket carries the certificate: without showing one again, it is as revoked as before.
  const bare = await openssl.connect({ request, args: ['-sess_in', session] });
  assert.match(bare.text, /CERTIFICATE_REVOKED/);

  await openssl.connect({ as: 'node', request, args: ['-sess_out', session] });
  await fixture.admin.call(routes.rotateCa, { body: {} });
  const rotated = await openssl.connect({ as: 'node', request, args: ['-sess_in', session] });
  assert.match(rotated.text, /New, TLSv1\.3/);
  assert.equal(rotated.status, 200, 'its own CA is trusted still');
  await fixture.admin.call(routes.retireCa, { body: { force: true } });
  const retired = await openssl.connect({ as: 'node', request });
  assert.equal(retired.status, 401);
});

test('a certificate of another CA, or one that it signed itself, opens no route of a node', async () => {
  const alien = ['-newkey', 'ed25519', '-nodes', '-subj', `/CN=${node.id}`, '-days', '1'];
  const san = `subjectAltName=URI:spiffe://billet.internal/instance/${node.id}`;
  await openssl.run(
    ...['req', '-x509', ...alien, '-addext', san, '-addext', 'extendedKeyUsage=clientAuth'],
    ...['-keyout', 'alien.key', '-out', 'alien.crt'],
  );
  const refused = await openssl.connect({ as: 'alien', request: 'GET /v1/node/desired' });
  assert.equal(refused.status, 401);
  assert.match(refused.text, /CERTIFICATE_INVALID.*enroll again with a fresh bootstrap token/s);
  const none = await openssl.connect({ request: 'GET /v1/node/desired' });
  assert.match(none.text, /CERTIFICATE_REQUIRED.*enroll first/s);
});

test('a certificate that has run out opens the renewal, and no other route', async () => {
  const old = await fixture.node('expired-1');
  writeNode(openssl, 'old', old);
  fixture.clock.advance(31 * 86_400_000);
  const ofNodes = Object.values<Route>(routes).filter(({ caller }) => caller === 'node');
  for (const { method, path, form } of ofNodes) {
    if (form === 'socket' || path.endsWith('/node/renew')) continue;
    const request = `${method} ${path.replace('{id}', 't-0000000000000000')}`;
    const said = await openssl.connect({ as: 'old', request, body: '{}' });
    assert.equal(said.status, 401, request);
    assert.match(said.text, /CERTIFICATE_EXPIRED.*renew it: POST \/v1\/node\/renew/s, request);
  }
  const body = JSON.stringify({ csr: csrOf(old.key, old.id) });
  const renewed = await openssl.connect({ as: 'old', request: 'POST /v1/node/renew', body });
  assert.equal(renewed.status, 201, renewed.text);
});
