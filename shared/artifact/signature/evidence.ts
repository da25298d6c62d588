// Which trusted key signed this manifest? Gathers signatures of both forms and checks them against
// the policy's keys for one module. Decides nothing about versions or files.

import { BilletError } from '../../errors.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import type { ArtifactSource, ManifestContent } from '../oci/source.ts';
import { readBundles } from './bundle.ts';
import { type PublicKey, readPublicKey } from './keys.ts';
import { patternsByKey, trustFor } from './policy.ts';
import { readSimpleSignatures } from './simple-signing.ts';

export type SignatureForm = 'simple-signing' | 'bundle';

/** A signature that claims to cover a manifest. */
export interface Evidence {
  readonly form: SignatureForm;
  /** Null if this key signed exactly this manifest; else why not. */
  refute(key: PublicKey): string | null;
}

export interface SignedBy {
  readonly keyId: string;
  readonly form: SignatureForm;
}

/**
 * The first signature by a key that the policy names for the module `name`. Throws
 * SIGNATURE_MISSING when there is no signature at all, SIGNATURE_INVALID when none counts.
 */
export async function signedBy(
  source: ArtifactSource,
  manifest: ManifestContent,
  policy: TrustPolicy,
  name: string,
): Promise<SignedBy> {
  const trust = trustFor(policy, name);
  if (trust === null)
    throw new BilletError('SIGNATURE_MISSING', `the trust policy names no key for module ${name}`, {
      hint: `add a rule for ${name} to the trust policy of the boot image`,
      details: { name },
    });
  const keys = trust.keys.map(readPublicKey);
  const reasons: string[] = [];
  const seen: Evidence[] = [];
  for await (const evidence of evidenceFor(source, manifest, reasons)) {
    for (const key of keys) {
      const reason = evidence.refute(key);
      if (reason === null) return { keyId: key.id, form: evidence.form };
      reasons.push(`${evidence.form}: ${reason}`);
    }
    seen.push(evidence);
  }
  throw refusal(policy, name, manifest, seen, reasons);
}

/** Signatures of both forms; one that cannot be read is a reason, and hides no other. */
async function* evidenceFor(
  source: ArtifactSource,
  manifest: ManifestContent,
  reasons: string[],
): AsyncGenerator<Evidence, void> {
  yield* readSimpleSignatures(source, manifest, reasons);
  yield* readBundles(source, manifest, reasons);
}

function refusal(
  policy: TrustPolicy,
  name: string,
  manifest: ManifestContent,
  seen: readonly Evidence[],
  reasons: readonly string[],
): BilletError {
  const details = { name, digest: manifest.digest, reasons: [...new Set(reasons)].slice(0, 16) };
  if (reasons.length === 0)
    return new BilletError('SIGNATURE_MISSING', `${name} (${manifest.digest}) is not signed`, {
      hint: 'sign it: `billet module sign IMAGE --key KEY.pem`, and push the signature too',
      details,
    });
  for (const [pem, patterns] of patternsByKey(policy)) {
    const key = readPublicKey(pem);
    if (seen.some((evidence) => evidence.refute(key) === null))
      return new BilletError(
        'SIGNATURE_INVALID',
        `${name} is signed by ${key.id}, which may sign ${patterns.join(', ')} only`,
        { hint: `sign it with a key that the trust policy names for ${name}`, details },
      );
  }
  return new BilletError(
    'SIGNATURE_INVALID',
    `no signature of ${name} (${manifest.digest}) counts: ${details.reasons.join('; ')}`,
    { hint: `sign this manifest with a key that the trust policy names for ${name}`, details },
  );
}
