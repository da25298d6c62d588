// The operator's key pair for recovery keys: X25519 (RFC 7748), in PEM. Keeps nothing.

import { generateKeyPairSync } from 'node:crypto';

export interface RecoveryKeyPair {
  /** PKCS #8: it stays with the operator. */
  readonly privatePem: string;
  /** SPKI: `recoveryRecipient` of an install plan. */
  readonly publicPem: string;
}

export function generateRecoveryKeyPair(): RecoveryKeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privatePem: privateKey, publicPem: publicKey };
}
