// The CA certificates that one side trusts, as PEM text of one or several blocks. Reads and compares;
// whether a certificate was issued by one of them is decided by the signature, never by a name.

import { X509Certificate } from 'node:crypto';
import { type Digest, sha256 } from './digest.ts';

export interface TrustedCa {
  /** SHA-256 of the DER. */
  readonly fingerprint: Digest;
  readonly certificate: X509Certificate;
  readonly pem: string;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** In the order of the text, each once. Throws what node:crypto throws for a block that is no certificate. */
export function readBundle(pem: string): readonly TrustedCa[] {
  const found = new Map<Digest, TrustedCa>();
  for (const [block] of pem.matchAll(BLOCK)) {
    const certificate = new X509Certificate(block);
    const fingerprint = sha256(certificate.raw);
    found.set(fingerprint, { fingerprint, certificate, pem: `${block}\n` });
  }
  return [...found.values()];
}

/** The CA of the bundle whose key signed the certificate; null when none did. */
export const issuerIn = <T extends Pick<TrustedCa, 'certificate'>>(
  bundle: readonly T[],
  certificate: X509Certificate,
): T | null =>
  bundle.find(
    ({ certificate: ca }) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey),
  ) ?? null;
