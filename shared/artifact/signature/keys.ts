// Signing keys: P-256 and Ed25519, in PEM. Makes, reads and names them; signs and checks bytes.
// Holds no trust: which key counts is the policy's business.

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto';
import type { Code } from '../../errors.ts';
import { BilletError } from '../../errors.ts';

export type KeyKind = 'p256' | 'ed25519';

export interface PublicKey {
  readonly kind: KeyKind;
  /** `sha256:` and the hex digest of the SPKI in DER. */
  readonly id: string;
  /** The same digest in base64: what cosign writes as a bundle's key hint. */
  readonly hint: string;
  readonly pem: string;
  readonly key: KeyObject;
}

export interface SigningKey {
  readonly public: PublicKey;
  sign(bytes: Uint8Array): Uint8Array;
}

/** PKCS#8 and SPKI in PEM. The private half belongs in a file with mode 0600. */
export function generateKeyPair(kind: KeyKind): { privatePem: string; publicPem: string } {
  const pair =
    kind === 'p256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('ed25519');
  return {
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** Throws POLICY_INVALID for anything but a P-256 or Ed25519 public key in PEM. */
export function readPublicKey(pem: string): PublicKey {
  if (!pem.trimStart().startsWith('-----BEGIN PUBLIC KEY-----'))
    throw keyInvalid('POLICY_INVALID', 'not a public key in PEM');
  return publicKeyOf(
    parsed('POLICY_INVALID', () => createPublicKey(pem)),
    'POLICY_INVALID',
  );
}

/**
 * Throws ARGUMENT_INVALID for anything but an unencrypted P-256 or Ed25519 private key in PEM;
 * encrypted-key.ts reads the others.
 */
export function readSigningKey(pem: string): SigningKey {
  const key = parsed('ARGUMENT_INVALID', () => createPrivateKey(pem));
  const publicKey = publicKeyOf(createPublicKey(key), 'ARGUMENT_INVALID');
  const algorithm = publicKey.kind === 'p256' ? 'sha256' : null;
  return { public: publicKey, sign: (bytes) => signBytes(algorithm, bytes, key) };
}

/** ECDSA P-256 with SHA-256 and an ASN.1 signature, or Ed25519. Malformed signatures are false. */
export function verifySignature(key: PublicKey, bytes: Uint8Array, signature: Uint8Array): boolean {
  return verifyBytes(key.kind === 'p256' ? 'sha256' : null, bytes, key.key, signature);
}

function publicKeyOf(key: KeyObject, code: Code): PublicKey {
  const kind = kindOf(key, code);
  const spki = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
  return {
    kind,
    id: `sha256:${spki.toString('hex')}`,
    hint: spki.toString('base64'),
    pem: key.export({ type: 'spki', format: 'pem' }).toString(),
    key,
  };
}

function kindOf(key: KeyObject, code: Code): KeyKind {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    return 'p256';
  throw keyInvalid(code, `a key of type ${key.asymmetricKeyType ?? 'unknown'}`);
}

function parsed(code: Code, read: () => KeyObject): KeyObject {
  try {
    return read();
  } catch (cause) {
    throw keyInvalid(code, 'not a key in PEM', cause);
  }
}

function keyInvalid(code: Code, what: string, cause?: unknown): BilletError {
  return new BilletError(code, `cannot use this key: ${what}`, {
    hint: 'make one with `billet module keygen`, or `openssl genpkey -algorithm ed25519` (P-256 or Ed25519, PEM)',
    cause,
  });
}
