// Which trusted key or identity signed this manifest? Gathers signatures of both forms and checks them
// against what the policy says of one module. Decides nothing about versions or files.

import { BilletError } from '../../errors.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import type { ArtifactSource, ManifestContent } from '../oci/source.ts';
import { readBundles } from './bundle.ts';
import type { ClaimedSignature } from './claimed.ts';
import { readPublicKey } from './keys.ts';
import {
  type Identity,
  isIdentity,
  patternsByKey,
  patternsOfIdentity,
  trustFor,
} from './policy.ts';
import { readSimpleSignatures } from './simple-signing.ts';
import { readTrustedRoot } from './trusted-root.ts';

export type SignatureForm = 'simple-signing' | 'bundle';

/** A signature found beside a manifest, which claims to cover it. */
export interface Evidence extends ClaimedSignature {
  readonly form: SignatureForm;
}

/** Either a key or an identity. */
export interface SignedBy {
  readonly form: SignatureForm;
  readonly keyId: string | null;
  readonly identity: Identity | null;
}

/**
 * The first signature by a key or identity that the policy names for the module `name`. Throws
 * SIGNATURE_MISSING when there is no signature at all, SIGNATURE_INVALID when none counts. `command`
 * is what signs such things, for the hint.
 */
export async function signedBy(
  source: ArtifactSource,
  manifest: ManifestContent,
  policy: TrustPolicy,
  name: string,
  command = 'billet module sign',
): Promise<SignedBy> {
  const trust = trustFor(policy, name);
  if (trust === null)
    throw new BilletError(
      'SIGNATURE_MISSING',
      `the trust policy names no key or identity for module ${name}`,
      { hint: `add a rule for ${name} to the trust policy of the boot image`, details: { name } },
    );
  const keys = trust.keys.map(readPublicKey);
  const material =
    trust.identities.length === 0 || policy.trustedRoot === undefined
      ? null
      : readTrustedRoot(policy.trustedRoot);
  const reasons: string[] = [];
  const seen: Evidence[] = [];
  for await (const evidence of evidenceFor(source, manifest, reasons)) {
    for (const key of keys) {
      const reason = evidence.refute(key);
      if (reason === null) return { form: evidence.form, keyId: key.id, identity: null };
      reasons.push(`${evidence.form}: ${reason}`);
    }
    if (material !== null) {
      const found = evidence.identify(material);
      if ('reason' in found) reasons.push(`${evidence.form}: ${found.reason}`);
      else if (trust.identities.some((trusted) => isIdentity(trusted, found.signer)))
        return { form: evidence.form, keyId: null, identity: found.signer };
      else reasons.push(`${evidence.form}: ${signedAs(policy, found.signer)}`);
    }
    seen.push(evidence);
  }
  throw refusal(policy, { name, command }, manifest, seen, reasons);
}

function signedAs(policy: TrustPolicy, { identity, issuer }: Identity): string {
  const patterns = patternsOfIdentity(policy, { identity, issuer });
  const may = patterns.length === 0 ? 'nothing' : `${patterns.join(', ')} only`;
  return `signed by ${identity} of ${issuer}, who may sign ${may}`;
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
  { name, command }: { readonly name: string; readonly command: string },
  manifest: ManifestContent,
  seen: readonly Evidence[],
  reasons: readonly string[],
): BilletError {
  const details = { name, digest: manifest.digest, reasons: [...new Set(reasons)].slice(0, 16) };
  if (reasons.length === 0)
    return new BilletError('SIGNATURE_MISSING', `${name} (${manifest.digest}) is not signed`, {
      hint: `sign it: \`${command} IMAGE --key KEY.pem\`, and push the signature too`,
      details,
    });
  for (const [pem, patterns] of patternsByKey(policy)) {
    const key = readPublicKey(pem);
    if (seen.some((evidence) => evidence.refute(key) === null))
      return new BilletError(
        'SIGNATURE_INVALID',
        `${name} is signed by ${key.id}, which may sign ${patterns.join(', ')} only`,
        { hint: `sign it as somebody whom the trust policy names for ${name}`, details },
      );
  }
  return new BilletError(
    'SIGNATURE_INVALID',
    `no signature of ${name} (${manifest.digest}) counts: ${details.reasons.join('; ')}`,
    { hint: `sign this manifest as somebody whom the trust policy names for ${name}`, details },
  );
}
