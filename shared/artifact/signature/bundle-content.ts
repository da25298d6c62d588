// What is in a sigstore bundle, and whether it covers some content. Formats are @sigstore/bundle's;
// subject, digest and purpose are checked here, because @sigstore/verify leaves them to its callers.

import { type Bundle, bundleFromJSON } from '@sigstore/bundle';
import { type SignedEntity, toSignedEntity } from '@sigstore/verify';
import { z } from 'zod';
import { hexOf } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { parseDocument } from '../oci/schema.ts';
import { identityOf } from './certificate.ts';
import type { ClaimedSignature } from './claimed.ts';
import { readClaims } from './claims.ts';
import type { SignedContent } from './content.ts';

/** The largest bundle that is read. */
export const BUNDLE_LIMIT_BYTES = 512 * 1024;
const INTOTO = 'application/vnd.in-toto+json';
/** Says "I release this", as opposed to attestations about it by the same signer. */
const PREDICATE = 'https://sigstore.dev/cosign/sign/v1';

const Statement = z.object({
  _type: z.enum(['https://in-toto.io/Statement/v1', 'https://in-toto.io/Statement/v0.1']),
  subject: z.array(z.object({ digest: z.record(z.string(), z.string()) })).min(1),
  predicateType: z.string(),
});

/** sigstore_common.proto, HashAlgorithm: SHA2_256. */
const SHA2_256 = 1;

/** Reads a bundle from JSON bytes. Throws SIGNATURE_INVALID. */
export function parseBundle(bytes: Uint8Array): Bundle {
  try {
    return bundleFromJSON(parseDocument(z.unknown(), bytes, 'the bundle'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'unknown';
    throw new BilletError('SIGNATURE_INVALID', `not a sigstore bundle: ${why}`, {
      hint: 'sign again, with `billet module sign` or `cosign sign-blob --new-bundle-format`',
      cause,
    });
  }
}

/** A bundle as a signature that claims to cover `content`. */
export const claimedByBundle = (bundle: Bundle, content: SignedContent): ClaimedSignature => ({
  refute(key) {
    try {
      const entity = entityOf(bundle, content);
      if (entity.key.$case !== 'public-key') return 'signed by a certificate, not by a key';
      // Log entries and times prove nothing without a trusted root; a pinned key needs neither.
      if (!entity.signature.verifySignature(key.key)) return `not signed by ${key.id}`;
    } catch (error) {
      if (error instanceof BilletError) throw error;
      return `not signed by ${key.id}`;
    }
    return refuteContent(bundle, content);
  },
  identify(material) {
    const certificate = certificateOf(bundle);
    if (certificate === null) return { reason: 'signed by a key, not by a certificate' };
    const reason = refuteContent(bundle, content);
    if (reason !== null) return { reason };
    return identityOf({ entity: entityOf(bundle, content), certificate }, material);
  },
});

/** A message signature is over the content, which need not be in memory; DSSE carries its own. */
function entityOf(bundle: Bundle, content: SignedContent): SignedEntity {
  const entity = toSignedEntity(bundle, Buffer.alloc(0));
  if (bundle.content.$case !== 'messageSignature') return entity;
  const { signature } = bundle.content.messageSignature;
  return { ...entity, signature: messageContent(signature, content) };
}

/** A signature over the content itself, as @sigstore/verify takes it. */
function messageContent(signature: Buffer, content: SignedContent): SignedEntity['signature'] {
  const isDigest = (digest: Buffer) => digest.toString('hex') === hexOf(content.digest);
  return {
    signature,
    compareSignature: (other) => signature.equals(other),
    compareDigest: isDigest,
    compareSignedDigest: isDigest,
    verifySignature: (key) => content.verify(key, signature),
  };
}

function certificateOf({ verificationMaterial: { content } }: Bundle): Uint8Array | null {
  switch (content.$case) {
    case 'publicKey':
      return null;
    case 'certificate':
      return content.certificate.rawBytes;
    case 'x509CertificateChain':
      return content.x509CertificateChain.certificates[0]?.rawBytes ?? null;
  }
}

function refuteContent(bundle: Bundle, { digest }: SignedContent): string | null {
  const hex = hexOf(digest);
  if (bundle.content.$case === 'messageSignature') {
    const { algorithm, digest: bytes } = bundle.content.messageSignature.messageDigest;
    if (algorithm !== SHA2_256) return 'the bundle has a digest that is not SHA-256';
    const claimed = bytes.toString('hex');
    return claimed === hex ? null : `the bundle is for sha256:${claimed}`;
  }
  const { payloadType, payload } = bundle.content.dsseEnvelope;
  if (payloadType !== INTOTO) return `a statement of type ${payloadType}`;
  const statement = readClaims(Statement, payload);
  if (statement === null) return 'not an in-toto statement';
  const { predicateType, subject } = statement;
  if (predicateType !== PREDICATE) return `a statement ${predicateType}, which releases nothing`;
  return subject.some((each) => each.digest.sha256 === hex)
    ? null
    : 'the statement is about something else';
}
