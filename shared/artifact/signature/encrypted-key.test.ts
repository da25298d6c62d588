import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { openSigningKey } from './encrypted-key.ts';
import { generateKeyPair, readPublicKey, verifySignature } from './keys.ts';

// `cosign import-key-pair` 2.5.0 of an Ed25519 key made for this test, with the password `pw`.
const COSIGN_KEY = `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----
eyJrZGYiOnsibmFtZSI6InNjcnlwdCIsInBhcmFtcyI6eyJOIjo2NTUzNiwiciI6
OCwicCI6MX0sInNhbHQiOiI1emt2dnNtZlBPVFhCNTJ0RXBHdkRReXNZMVJ5a0pu
QkI2amtDaHMwRmNvPSJ9LCJjaXBoZXIiOnsibmFtZSI6Im5hY2wvc2VjcmV0Ym94
Iiwibm9uY2UiOiJlUzA2UlZvL2pTNndtSm5keGluVEJOa2Y1S0dmVTlheiJ9LCJj
aXBoZXJ0ZXh0IjoibmhNR2RHTHVBUlVrVncwTG5SSU9sNUkvZjVhRFFHNllIZmht
MnhId0JEVTVxb0RBdTBUTlNSSFA4L0R2eC9jSlJTUjl0ejc4OGxqT2hJcSs4VjZT
YkE9PSJ9
-----END ENCRYPTED SIGSTORE PRIVATE KEY-----
`;
const COSIGN_PUBLIC = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEATSNhY44jGS4MvDAPKJz9o3kUQtdjuluuzcOwC/prPgQ=
-----END PUBLIC KEY-----
`;

test('a key that cosign encrypted signs as the key that it is', () => {
  const key = openSigningKey(COSIGN_KEY, 'pw');
  const bytes = Buffer.from('signed');
  assert.ok(verifySignature(readPublicKey(COSIGN_PUBLIC), bytes, key.sign(bytes)));
});

test('PKCS#8 that OpenSSL encrypts opens too, and a key without a password needs none', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const options = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc' } as const;
  const pem = privateKey.export({ ...options, passphrase: 'pw' }).toString();
  assert.equal(openSigningKey(pem, 'pw').public.kind, 'p256');
  assert.throws(() => openSigningKey(pem, 'other'), { code: 'ARGUMENT_INVALID' });
  const { privatePem } = generateKeyPair('ed25519');
  for (const password of [null, 'unused'])
    assert.equal(openSigningKey(privatePem, password).public.kind, 'ed25519');
});

test('no password and a wrong one are told apart, and neither stands in the message', () => {
  assert.throws(() => openSigningKey(COSIGN_KEY, null), {
    code: 'ARGUMENT_INVALID',
    hint: /COSIGN_PASSWORD.*--password-file/,
  });
  for (const password of ['', 'wrong', 'pw '])
    assert.throws(
      () => openSigningKey(COSIGN_KEY, password),
      ({ code, message }: { code: string; message: string }) =>
        code === 'ARGUMENT_INVALID' && /does not open/.test(message) && !message.includes('wrong'),
    );
});
