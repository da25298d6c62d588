// Whose certificate signed this? Chain, transparency log and signed time are @sigstore/verify's; what
// it leaves out is checked here: that the certificate is for signing code, and that the log holds
// this certificate. Knows no policy: any identity is an answer.

import { X509Certificate } from 'node:crypto';
import { type SignedEntity, type TrustMaterial, Verifier } from '@sigstore/verify';
import { z } from 'zod';
import { BilletError } from '../../errors.ts';
import { readClaims } from './claims.ts';
import type { Identity } from './policy.ts';

export interface CertifiedEntity {
  readonly entity: SignedEntity;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** RFC 5280, 4.2.1.12: id-kp-codeSigning. */
const CODE_SIGNING = '1.3.6.1.5.5.7.3.3';

/**
 * The identity of a certificate that was valid when its log says it signed, or why there is none.
 * One entry of a log, one signed certificate timestamp and one signed time are needed.
 */
export function identityOf(
  { entity, certificate }: CertifiedEntity,
  material: TrustMaterial,
): { readonly signer: Identity } | { readonly reason: string } {
  try {
    const { identity } = new Verifier(recognising(entity, material), {
      tlogThreshold: 1,
      ctlogThreshold: 1,
      timestampThreshold: 1,
    }).verify({ ...entity, timestamps: entity.timestamps.filter(countsFor(material)) });
    const reason = refuteCertificate(certificate) ?? refuteLog(entity, certificate);
    if (reason !== null) return { reason };
    const subject = identity?.subjectAlternativeName;
    const issuer = identity?.extensions?.issuer;
    return subject === undefined || issuer === undefined
      ? { reason: 'the certificate names no URI or email address, or no issuer' }
      : { signer: { identity: subject, issuer } };
  } catch (error) {
    if (error instanceof BilletError) throw error;
    return { reason: causes(error) };
  }
}

/** Where no timestamp authority is trusted, their timestamps prove nothing, and spoil nothing. */
const countsFor =
  ({ timestampAuthorities }: TrustMaterial) =>
  ({ $case }: SignedEntity['timestamps'][number]): boolean =>
    $case !== 'timestamp-authority' || timestampAuthorities.length > 0;

/**
 * @sigstore/verify wants a checkpoint to be signed in a name that the log's URL contains. A root that
 * `cosign trusted-root create` makes has no URLs: there, the log is recognised by its key alone, as
 * cosign does it.
 */
function recognising({ tlogEntries }: SignedEntity, material: TrustMaterial): TrustMaterial {
  const names = tlogEntries.map((entry) => entry.inclusionProof?.checkpoint?.envelope).join('\n');
  const tlogs = material.tlogs.map((log) =>
    log.baseURL === '' ? { ...log, baseURL: names } : log,
  );
  return { ...material, tlogs };
}

function refuteCertificate(der: Uint8Array): string | null {
  const { keyUsage } = new X509Certificate(der);
  return keyUsage?.includes(CODE_SIGNING) ? null : 'the certificate is not for signing code';
}

/** Rekor's hashedrekord 0.0.1 and dsse 0.0.1: the PEM of the signer's certificate, in base64. */
const Body = z.object({
  spec: z.union([
    z.object({ signature: z.object({ publicKey: z.object({ content: z.base64() }) }) }),
    z.object({ signatures: z.array(z.object({ verifier: z.base64() })).length(1) }),
  ]),
});

/** @sigstore/verify compares signature and digest with the log's, but not who signed. */
function refuteLog({ tlogEntries }: SignedEntity, certificate: Uint8Array): string | null {
  for (const { canonicalizedBody } of tlogEntries) {
    const logged = loggedCertificate(canonicalizedBody);
    if (logged === null) return 'a log entry that is neither hashedrekord 0.0.1 nor dsse 0.0.1';
    if (!logged.equals(certificate)) return 'the log holds this signature for somebody else';
  }
  return null;
}

function loggedCertificate(body: Uint8Array): Buffer | null {
  const claims = readClaims(Body, body);
  if (claims === null) return null;
  const { spec } = claims;
  const pem = 'signature' in spec ? spec.signature.publicKey.content : spec.signatures[0]?.verifier;
  return new X509Certificate(Buffer.from(pem ?? '', 'base64')).raw;
}

/** The library tells the real reason in the cause. */
function causes(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  return error.cause instanceof Error ? `${error.message}: ${causes(error.cause)}` : error.message;
}
