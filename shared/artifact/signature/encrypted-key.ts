// Private keys that a password protects: cosign's own format (scrypt and NaCl's secretbox around
// PKCS#8, sigstore/sigstore pkg/cryptoutils and theupdateframework's encrypted/) and PKCS#8's. Only
// for who signs: no node needs it. Passwords arrive as values, never from a command line.

import { createPrivateKey, scryptSync } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { z } from 'zod';
import { BilletError } from '../../errors.ts';
import { describeFaults } from '../../schema/faults.ts';
import { readSigningKey, type SigningKey } from './keys.ts';

/** Memory that a key file may ask for: cosign writes N = 65536, r = 8, which is 64 MiB. */
const MEMORY_LIMIT_BYTES = 512 * 1024 * 1024;

const COSIGN = /-----BEGIN ENCRYPTED (?:SIGSTORE|COSIGN) PRIVATE KEY-----([^-]*)-----END/;
const PKCS8 = '-----BEGIN ENCRYPTED PRIVATE KEY-----';

const bytesOf = (length: number) =>
  z
    .base64()
    .transform((text) => Buffer.from(text, 'base64'))
    .refine((bytes) => bytes.length === length, `${length} bytes`);

const Envelope = z.object({
  kdf: z.object({
    name: z.literal('scrypt'),
    params: z
      .object({ N: z.int().min(2), r: z.int().min(1), p: z.int().min(1).max(16) })
      .refine(({ N, r }) => 128 * N * r <= MEMORY_LIMIT_BYTES, 'at most 512 MiB for scrypt'),
    salt: bytesOf(32),
  }),
  cipher: z.object({ name: z.literal('nacl/secretbox'), nonce: bytesOf(24) }),
  ciphertext: z.base64(),
});

/**
 * Reads a private key in PEM, encrypted or not. Throws ARGUMENT_INVALID for a missing or wrong
 * password and for what is no key of P-256 or Ed25519.
 */
export function openSigningKey(pem: string, password: string | null): SigningKey {
  const cosign = COSIGN.exec(pem)?.[1];
  if (cosign === undefined && !pem.includes(PKCS8)) return readSigningKey(pem);
  if (password === null)
    throw new BilletError('ARGUMENT_INVALID', 'the private key is encrypted', {
      hint: 'put its password into the environment variable COSIGN_PASSWORD, or name a file that holds it with --password-file',
    });
  return readSigningKey(
    cosign === undefined ? openPkcs8(pem, password) : openCosign(cosign, password),
  );
}

function openPkcs8(pem: string, password: string): string {
  try {
    const key = createPrivateKey({ key: pem, passphrase: password });
    return key.export({ type: 'pkcs8', format: 'pem' }).toString();
  } catch (cause) {
    throw wrongPassword(cause);
  }
}

function openCosign(base64: string, password: string): string {
  const { kdf, cipher, ciphertext } = envelopeOf(base64);
  const { N, r, p } = kdf.params;
  const options = { N, r, p, maxmem: 2 * MEMORY_LIMIT_BYTES };
  const key = scryptSync(password, kdf.salt, 32, options);
  const secretbox = xsalsa20poly1305(key, cipher.nonce);
  let der: Uint8Array;
  try {
    der = secretbox.decrypt(Buffer.from(ciphertext, 'base64'));
  } catch (cause) {
    throw wrongPassword(cause);
  }
  return `-----BEGIN PRIVATE KEY-----\n${Buffer.from(der).toString('base64')}\n-----END PRIVATE KEY-----\n`;
}

function envelopeOf(base64: string): z.infer<typeof Envelope> {
  try {
    return Envelope.parse(JSON.parse(Buffer.from(base64, 'base64').toString('utf8')));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? describeFaults(cause) : 'no JSON';
    throw new BilletError('ARGUMENT_INVALID', `not an encrypted key of cosign: ${why}`, {
      hint: 'make one with `cosign generate-key-pair`',
      cause,
    });
  }
}

/** The cause holds no secret: libraries say that a tag is wrong. */
const wrongPassword = (cause: unknown) =>
  new BilletError('ARGUMENT_INVALID', 'the private key does not open with this password', {
    hint: 'check COSIGN_PASSWORD or the file of --password-file; a final line feed in it is left out',
    cause,
  });
