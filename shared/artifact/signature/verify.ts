// May this module run here? The checklist, in order, on a manifest that is already in hand. Reads
// config and signatures; unpacks nothing and stores nothing.

import type { Digest } from '../../digest.ts';
import { assertDigest } from '../../digest.ts';
import type { Code } from '../../errors.ts';
import { BilletError } from '../../errors.ts';
import type { ModuleLabel, ModuleName } from '../../schema/module.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import { readLabels } from '../module/labels.ts';
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  parseImageManifest,
} from '../oci/schema.ts';
import type { ArtifactSource, ManifestContent } from '../oci/source.ts';
import { type SignatureForm, type SignedBy, signedBy } from './evidence.ts';
import { type Identity, trustFor } from './policy.ts';

export interface VerifyRequest {
  readonly source: ArtifactSource;
  readonly manifest: ManifestContent;
  readonly policy: TrustPolicy;
  /** The name that desired state gives the module. */
  readonly expectedName?: ModuleName | undefined;
  /** The highest sequence of this module in a generation that turned good. */
  readonly floor?: number | undefined;
  /** Manifests of the last good generation: exempt from `floor`, not from the policy's minimum. */
  readonly exempt?: ReadonlySet<Digest> | undefined;
}

/** What would have been refused in mode `enforce`: to be reported as a condition. */
export interface Finding {
  readonly code: Code;
  readonly message: string;
  readonly hint: string;
}

export interface Verified {
  readonly digest: Digest;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  /** Lowest first; `diffIds[i]` is the digest of `manifest.layers[i]` unpacked. */
  readonly diffIds: readonly Digest[];
  readonly layers: readonly Descriptor[];
  readonly label: ModuleLabel;
  /** fs-verity digest of the composefs image, as the label says. */
  readonly image: Digest;
  /** Whose signature counted: one of the two; both null when none did (modes audit and off). */
  readonly keyId: string | null;
  readonly identity: Identity | null;
  readonly form: SignatureForm | null;
  /** Empty in mode enforce. */
  readonly findings: readonly Finding[];
}

/**
 * Throws DIGEST_MISMATCH, OCI_INVALID, MODULE_INVALID in every mode; SIGNATURE_MISSING,
 * SIGNATURE_INVALID and VERSION_REFUSED in mode `enforce`, while `audit` and `off` return them.
 */
export async function verifyManifest(request: VerifyRequest): Promise<Verified> {
  const { source, manifest: content, policy } = request;
  const findings: Finding[] = [];

  assertDigest(content.bytes, content.digest, `the manifest from ${source.name}`);
  const manifest = parseImageManifest(content.bytes, content.mediaType);
  const labels = await readLabels(source, manifest);
  assertName(labels.label, request.expectedName);
  const signature = await tolerate(policy, findings, () => assertSigned(request, labels.label));
  await tolerate(policy, findings, () => assertVersion(request, labels.label));

  return {
    digest: content.digest,
    manifest,
    config: labels.config,
    diffIds: labels.config.rootfs.diff_ids,
    layers: manifest.layers,
    label: labels.label,
    image: labels.image,
    keyId: signature?.keyId ?? null,
    identity: signature?.identity ?? null,
    form: signature?.form ?? null,
    findings,
  };
}

function assertName(label: ModuleLabel, expected: ModuleName | undefined): void {
  if (expected === undefined || label.name === expected) return;
  throw new BilletError('MODULE_INVALID', `the image is module ${label.name}, not ${expected}`, {
    hint: `name the module ${label.name}, or point at the manifest of ${expected}`,
    details: { name: label.name, expected },
  });
}

async function assertSigned(request: VerifyRequest, label: ModuleLabel): Promise<SignedBy> {
  if (request.policy.mode === 'off')
    throw new BilletError('SIGNATURE_MISSING', 'signatures are not checked: policy mode is off', {
      hint: 'set mode to "enforce" in the trust policy of the boot image',
    });
  return await signedBy(request.source, request.manifest, request.policy, label.name);
}

function assertVersion(
  { policy, floor, exempt, manifest }: VerifyRequest,
  label: ModuleLabel,
): null {
  const minimum = trustFor(policy, label.name)?.minimumSequence ?? 0;
  const observed = exempt?.has(manifest.digest) === true ? 0 : (floor ?? 0);
  const lowest = Math.max(minimum, observed);
  if (label.sequence >= lowest) return null;
  throw new BilletError(
    'VERSION_REFUSED',
    `${label.name} ${label.version} has sequence ${label.sequence}, at least ${lowest} is required`,
    {
      hint: 'release it again with a higher sequence, or go back to the last good generation',
      details: { name: label.name, sequence: label.sequence, minimum, floor: observed },
    },
  );
}

/** In mode enforce errors pass; in the others they become findings. */
async function tolerate<T>(
  policy: TrustPolicy,
  findings: Finding[],
  check: () => T | Promise<T>,
): Promise<T | null> {
  try {
    return await check();
  } catch (error) {
    const tolerable = error instanceof BilletError && FINDINGS.has(error.code);
    if (policy.mode === 'enforce' || !tolerable) throw error;
    findings.push({ code: error.code, message: error.message, hint: error.hint });
    return null;
  }
}

const FINDINGS: ReadonlySet<Code> = new Set<Code>([
  'SIGNATURE_INVALID',
  'SIGNATURE_MISSING',
  'VERSION_REFUSED',
]);
