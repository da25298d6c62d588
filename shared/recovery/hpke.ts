// Hybrid public key encryption (RFC 9180), base mode, one message: DHKEM(X25519, HKDF-SHA256) and
// HKDF-SHA256 with AES-GCM, over node:crypto. Knows nothing of what is sealed.

import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto';

interface Aead {
  /** §7.3 */
  readonly id: number;
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm';
  readonly keyBytes: number;
}

/** Appendix A has vectors of this KEM for the first; recovery keys are sealed with the second. */
export const AEADS = {
  aes128: { id: 1, cipher: 'aes-128-gcm', keyBytes: 16 },
  aes256: { id: 2, cipher: 'aes-256-gcm', keyBytes: 32 },
} as const satisfies Record<string, Aead>;

/** §7.1 and §7.2 */
const KEM_X25519 = 0x0020;
const KDF_SHA256 = 0x0001;
const MODE_BASE = 0;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HASH_BYTES = 32;
const EMPTY = Buffer.alloc(0);

export interface Context {
  readonly aead: Aead;
  /** What the message is for: another one does not open it. */
  readonly info: Uint8Array;
  readonly aad?: Uint8Array;
}

/** Raw bytes of an X25519 public key, of either half of a pair. */
export function rawPublicKey(key: KeyObject): Buffer {
  const half = key.type === 'private' ? createPublicKey(key) : key;
  return Buffer.from(half.export({ format: 'jwk' }).x ?? '', 'base64url');
}

const publicKeyOf = (raw: Uint8Array): KeyObject =>
  createPublicKey({
    key: { kty: 'OKP', crv: 'X25519', x: Buffer.from(raw).toString('base64url') },
    format: 'jwk',
  });

/**
 * SealBase (§6.1): the encapsulated key (32 bytes), then the ciphertext with its tag. `ephemeral` is a
 * fresh private key: one that was used before gives the content away.
 */
export function sealBase(
  context: Context,
  recipient: KeyObject,
  ephemeral: KeyObject,
  plaintext: Uint8Array,
): Buffer {
  const enc = rawPublicKey(ephemeral);
  const dh = diffieHellman({ privateKey: ephemeral, publicKey: recipient });
  const { key, nonce } = schedule(context, sharedSecret(dh, enc, rawPublicKey(recipient)));
  const cipher = createCipheriv(context.aead.cipher, key, nonce);
  cipher.setAAD(context.aad ?? EMPTY);
  return Buffer.concat([enc, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** OpenBase (§6.1). Throws what node:crypto throws on a message that is not for this key. */
export function openBase(context: Context, recipient: KeyObject, sealed: Uint8Array): Buffer {
  const enc = Buffer.from(sealed.subarray(0, HASH_BYTES));
  const body = sealed.subarray(HASH_BYTES, -TAG_BYTES);
  const dh = diffieHellman({ privateKey: recipient, publicKey: publicKeyOf(enc) });
  const { key, nonce } = schedule(context, sharedSecret(dh, enc, rawPublicKey(recipient)));
  const cipher = createDecipheriv(context.aead.cipher, key, nonce);
  cipher.setAAD(context.aad ?? EMPTY);
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  return Buffer.concat([cipher.update(body), cipher.final()]);
}

/** ExtractAndExpand of the KEM (§4.1). */
function sharedSecret(dh: Buffer, enc: Buffer, recipient: Buffer): Buffer {
  const suite = Buffer.concat([Buffer.from('KEM'), uint16(KEM_X25519)]);
  const prk = labeledExtract(suite, EMPTY, 'eae_prk', dh);
  const context = Buffer.concat([enc, recipient]);
  return labeledExpand(suite, prk, 'shared_secret', context, HASH_BYTES);
}

/** KeySchedule (§5.1), without a pre-shared key; the base nonce is that of message 0. */
function schedule({ aead, info }: Context, secret: Buffer): { key: Buffer; nonce: Buffer } {
  const ids = [KEM_X25519, KDF_SHA256, aead.id].map(uint16);
  const suite = Buffer.concat([Buffer.from('HPKE'), ...ids]);
  const context = Buffer.concat([
    Buffer.from([MODE_BASE]),
    labeledExtract(suite, EMPTY, 'psk_id_hash', EMPTY),
    labeledExtract(suite, EMPTY, 'info_hash', info),
  ]);
  const prk = labeledExtract(suite, secret, 'secret', EMPTY);
  return {
    key: labeledExpand(suite, prk, 'key', context, aead.keyBytes),
    nonce: labeledExpand(suite, prk, 'base_nonce', context, NONCE_BYTES),
  };
}

/** §4. HKDF-Extract (RFC 5869 §2.2) is one HMAC. */
function labeledExtract(suite: Buffer, salt: Buffer, label: string, ikm: Uint8Array): Buffer {
  const labeled = Buffer.concat([Buffer.from('HPKE-v1'), suite, Buffer.from(label), ikm]);
  return createHmac('sha256', salt).update(labeled).digest();
}

/** §4. Up to one hash of output, HKDF-Expand (RFC 5869 §2.3) is one HMAC, too. */
function labeledExpand(
  suite: Buffer,
  prk: Buffer,
  label: string,
  info: Buffer,
  bytes: number,
): Buffer {
  const parts = [uint16(bytes), Buffer.from('HPKE-v1'), suite, Buffer.from(label), info];
  const labeled = Buffer.concat([...parts, Buffer.from([1])]);
  return createHmac('sha256', prk).update(labeled).digest().subarray(0, bytes);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
