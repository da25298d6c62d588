// May this module run here? The checklist, in order, on a manifest that is already in hand. Reads
// config and signatures; unpacks nothing and stores nothing.

import type { Digest } from '../../digest.ts';
import { assertDigest } from '../../digest.ts';
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
import { assertNotOlder, assertSigned, type Finding, type Floors, tolerate } from './checks.ts';
import type { SignatureForm } from './evidence.ts';
import type { Identity } from './policy.ts';

export interface VerifyRequest extends Floors {
  readonly source: ArtifactSource;
  readonly manifest: ManifestContent;
  readonly policy: TrustPolicy;
  /** The name that desired state gives the module. */
  readonly expectedName?: ModuleName | undefined;
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
  const signature = await tolerate(policy, findings, () =>
    assertSigned(source, content, policy, labels.label.name),
  );
  await tolerate(policy, findings, () =>
    assertNotOlder(policy, request, content.digest, labels.label),
  );

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
