// RFC 9180, Appendix A.1.1, and a recovery key from disk to operator.

import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { BilletError } from '../errors.ts';
import { AEADS, openBase, rawPublicKey, sealBase } from './hpke.ts';
import {
  makeRecoveryKey,
  normalizeRecoveryKey,
  openRecoveryKey,
  sealRecoveryKey,
} from './recovery-key.ts';

const hex = (text: string) => Buffer.from(text, 'hex');
const base64url = (text: string) => hex(text).toString('base64url');
const pair = (d: string, x: string) =>
  createPrivateKey({
    key: { kty: 'OKP', crv: 'X25519', d: base64url(d), x: base64url(x) },
    format: 'jwk',
  });

/** A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM; base mode, sequence number 0. */
const A_1_1 = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  ephemeral: pair(
    '52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736',
    '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
  ),
  recipient: pair(
    '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
    '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
  ),
  plaintext: hex('4265617574792069732074727574682c20747275746820626561757479'),
  aad: hex('436f756e742d30'),
  ciphertext:
    'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9' +
    '6d8770ac83d07bea87e13c512a',
};

test('RFC 9180 A.1.1: the example seals to its encapsulated key and ciphertext, and opens', () => {
  const { info, aad, ephemeral, recipient, plaintext, ciphertext } = A_1_1;
  const context = { aead: AEADS.aes128, info, aad };
  const sealed = sealBase(context, createPublicKey(recipient), ephemeral, plaintext);
  const enc = rawPublicKey(ephemeral).toString('hex');
  assert.equal(sealed.toString('hex'), enc + ciphertext);
  assert.deepEqual(openBase(context, recipient, sealed), plaintext);
  const other = { ...context, aead: AEADS.aes256 };
  assert.throws(() => openBase(other, recipient, sealed));
});

const pems = () =>
  generateKeyPairSync('x25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
const code = (expected: string) => (error: unknown) =>
  error instanceof BilletError && error.code === expected && error.hint !== '';

test('a recovery key is sealed to the operator, differently each time, and opens to the same', () => {
  const { publicKey, privateKey } = pems();
  const key = makeRecoveryKey();
  assert.match(key, /^([cbdefghijklnrtuv]{8}-){7}[cbdefghijklnrtuv]{8}$/);
  const [first, second] = [sealRecoveryKey(key, publicKey), sealRecoveryKey(key, publicKey)];
  assert.notEqual(first, second);
  assert.equal(openRecoveryKey(first, privateKey), key);
  assert.equal(openRecoveryKey(second, privateKey), key);
});

test('a foreign key, an altered byte and a text cut short do not open it', () => {
  const { publicKey, privateKey } = pems();
  const sealed = Buffer.from(sealRecoveryKey(makeRecoveryKey(), publicKey), 'base64');
  const altered = Buffer.from(sealed);
  altered[40] = (altered[40] ?? 0) ^ 1;
  const attempts: readonly (readonly [Buffer, string])[] = [
    [sealed, pems().privateKey],
    [altered, privateKey],
    [sealed.subarray(0, 20), privateKey],
    // A point of low order (RFC 7748 §6.1): what is agreed on would be known to all.
    [Buffer.concat([Buffer.alloc(32), sealed.subarray(32)]), privateKey],
  ];
  for (const [bytes, key] of attempts)
    assert.throws(() => openRecoveryKey(bytes.toString('base64'), key), code('RECOVERY_KEY_WRONG'));
});

test('a recipient of another kind is refused before anything is sealed', () => {
  const { publicKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  for (const pem of [publicKey, 'no key'])
    assert.throws(() => sealRecoveryKey('key', pem), code('RECOVERY_KEY_INVALID'));
});

test('what a person types is read in any case, with or without dashes; a letter less is not', () => {
  const key = makeRecoveryKey(Buffer.alloc(32, 0x1f));
  assert.equal(key.slice(0, 8), 'bvbvbvbv');
  assert.equal(normalizeRecoveryKey(` ${key.toUpperCase().replaceAll('-', ' ')}\n`), key);
  assert.equal(normalizeRecoveryKey(key.slice(1)), null);
  assert.equal(normalizeRecoveryKey(key.replace('b', 'a')), null);
});
