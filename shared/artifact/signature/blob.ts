// Is this artifact signed by that key, or for that identity? Any artifact, one bundle, one signer:
// what a module's signature goes through, without labels, versions and policy.

import type { TrustMaterial } from '@sigstore/verify';
import { z } from 'zod';
import type { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { claimedByBundle, parseBundle } from './bundle-content.ts';
import { readClaims } from './claims.ts';
import type { SignedContent } from './content.ts';
import { bundleOfRecord, parseCosignBundle } from './cosign-record.ts';
import type { PublicKey } from './keys.ts';
import type { Identity } from './policy.ts';

export type BlobSigner =
  | { readonly key: PublicKey }
  /** Equal to what the certificate says; nothing is a pattern. */
  | { readonly identity: Identity; readonly material: TrustMaterial };

/** sigstore's bundles say what they are; cosign's older ones do not. */
const Typed = z.object({ mediaType: z.string() });

/**
 * Throws SIGNATURE_INVALID unless `signer` signed `content` in the bundle; returns the digest that
 * is vouched for. The bundle is sigstore's of version 0.1 to 0.3, or cosign's older one.
 */
export function verifyBlob(
  bundle: Uint8Array,
  content: SignedContent,
  signer: BlobSigner,
): { readonly digest: Digest } {
  const parsed =
    readClaims(Typed, bundle) === null
      ? bundleOfRecord(parseCosignBundle(bundle), content.digest)
      : parseBundle(bundle);
  const claimed = claimedByBundle(parsed, content);
  const reason =
    'key' in signer
      ? claimed.refute(signer.key)
      : refuteIdentity(signer, claimed.identify(signer.material));
  if (reason === null) return { digest: content.digest };
  throw new BilletError('SIGNATURE_INVALID', `${content.digest}: ${reason}`, {
    hint: 'check that bundle and artifact belong together, and who is said to have signed',
    details: { digest: content.digest, reason },
  });
}

function refuteIdentity(
  { identity: wanted }: Extract<BlobSigner, { identity: Identity }>,
  found: { readonly signer: Identity } | { readonly reason: string },
): string | null {
  if ('reason' in found) return found.reason;
  const { identity, issuer } = found.signer;
  return identity === wanted.identity && issuer === wanted.issuer
    ? null
    : `signed by ${identity} of ${issuer}, not by ${wanted.identity} of ${wanted.issuer}`;
}
