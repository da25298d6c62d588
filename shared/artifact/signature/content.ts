// What a signature is over: its digest, and a check of raw signatures over it. Knows no formats of
// signatures, and not who may sign.

import { type KeyObject, verify as verifyBytes } from 'node:crypto';
import type { Digest } from '../../digest.ts';

export interface SignedContent {
  readonly digest: Digest;
  /**
   * ECDSA or RSA (PKCS#1 v1.5) with SHA-256, or pure Ed25519 over the bytes. Malformed signatures are
   * false.
   */
  verify(key: KeyObject, signature: Uint8Array): boolean;
}

/** Content that is in hand; `digest` is that of `bytes`. */
export const contentOf = (bytes: Uint8Array, digest: Digest): SignedContent => ({
  digest,
  verify: (key, signature) => verifyBytes(isEdwards(key) ? null : 'sha256', bytes, key, signature),
});

/** Keys whose signatures hash the message themselves. */
const isEdwards = (key: KeyObject): boolean => /^ed/.test(key.asymmetricKeyType ?? '');
