// Whether what this node trusts is what the coordinator trusts now. Compares; renews nothing.

import { X509Certificate } from 'node:crypto';
import type { Digest } from '#shared/digest.ts';
import { issuerIn, readBundle } from '#shared/trust-bundle.ts';
import type { Credentials } from './credentials.ts';

/**
 * True when a CA came or went since, or the certificate is not of the CA that issues now: the first of
 * `trusted`. A coordinator that says nothing of it says that all is well.
 */
export function isOutdated(
  { ca, certificate }: Pick<Credentials, 'ca' | 'certificate'>,
  trusted: readonly Digest[] | undefined,
): boolean {
  if (trusted === undefined || trusted.length === 0) return false;
  const known = readBundle(ca);
  const same = known.map(({ fingerprint }) => fingerprint).join() === trusted.join();
  return !same || issuerIn(known, new X509Certificate(certificate))?.fingerprint !== trusted[0];
}
