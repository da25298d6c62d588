// May this boot image be written to a boot slot here? The checklist, in order, on a manifest that is
// already in hand. Reads signatures; fetches no file of the image and writes nothing.

import { assertDigest, type Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import type { BootImage } from '../../schema/desired.ts';
import type { ModuleName } from '../../schema/module.ts';
import type { TrustPolicy } from '../../schema/trust-policy.ts';
import type { ArtifactSource, ManifestContent } from '../oci/source.ts';
import {
  assertNotOlder,
  assertSigned,
  type Finding,
  type Floors,
  tolerate,
} from '../signature/checks.ts';
import type { SignatureForm } from '../signature/evidence.ts';
import type { Identity } from '../signature/policy.ts';
import { type BootContent, type BootRelease, bootImageOf, parseBootManifest } from './manifest.ts';

export interface BootVerifyRequest extends Floors {
  /** Where the signatures are. */
  readonly source: ArtifactSource;
  readonly manifest: ManifestContent;
  /** Of the running boot image. */
  readonly policy: TrustPolicy;
  /** What desired state says of it: every digest has to be the manifest's. */
  readonly wanted?: BootImage | undefined;
  /** The name of the running boot image, where it may be replaced by one of its own name only. */
  readonly expectedName?: ModuleName | undefined;
}

/** Its descriptors are those of the signed manifest: digest and size of each file. */
export interface VerifiedBoot extends BootContent {
  /** Of the manifest. */
  readonly digest: Digest;
  readonly release: BootRelease;
  /** Whose signature counted: one of the two; both null when none did (modes audit and off). */
  readonly keyId: string | null;
  readonly identity: Identity | null;
  readonly form: SignatureForm | null;
  /** Empty in mode enforce. */
  readonly findings: readonly Finding[];
}

/**
 * Throws DIGEST_MISMATCH, OCI_INVALID and BOOT_IMAGE_INVALID in every mode; SIGNATURE_MISSING,
 * SIGNATURE_INVALID and VERSION_REFUSED in mode `enforce`, while `audit` and `off` return them.
 */
export async function verifyBootArtifact(request: BootVerifyRequest): Promise<VerifiedBoot> {
  const { source, manifest, policy, wanted } = request;
  const findings: Finding[] = [];

  assertDigest(
    manifest.bytes,
    wanted?.manifest ?? manifest.digest,
    `the manifest from ${source.name}`,
  );
  const content = parseBootManifest(manifest, `the manifest ${manifest.digest}`);
  const release = assertRelease(content, request.expectedName);
  if (wanted !== undefined) assertWanted(content, wanted);
  const signature = await tolerate(policy, findings, () =>
    assertSigned(source, manifest, policy, release.name, 'billet image sign'),
  );
  await tolerate(policy, findings, () => assertNotOlder(policy, request, manifest.digest, release));

  return {
    ...content,
    release,
    digest: manifest.digest,
    keyId: signature?.keyId ?? null,
    identity: signature?.identity ?? null,
    form: signature?.form ?? null,
    findings,
  };
}

/** Throws BOOT_IMAGE_INVALID for one without a name, or of another than `expected`. */
export function assertRelease(content: BootContent, expected?: ModuleName): BootRelease {
  const { release } = content;
  if (release === null)
    throw new BilletError('BOOT_IMAGE_INVALID', 'the boot image does not say what it is called', {
      hint: 'build it with `billet image build --name NAME --sequence N`, then push and sign it',
    });
  if (expected === undefined || release.name === expected) return release;
  throw new BilletError(
    'BOOT_IMAGE_INVALID',
    `the boot image is ${release.name}, not ${expected}, which runs here`,
    {
      hint: `build it as --name ${expected}, or install the machine anew with a medium of ${release.name}`,
      details: { name: release.name, expected },
    },
  );
}

const COMPARED = ['kernel', 'initramfs', 'uki', 'loader', 'kernelRelease', 'commandLine'] as const;

function assertWanted(content: BootContent, wanted: BootImage): void {
  const signed = bootImageOf(content, wanted.repository, wanted.manifest);
  const other = COMPARED.find((field) => signed[field] !== wanted[field]);
  if (other === undefined) return;
  throw new BilletError(
    'DIGEST_MISMATCH',
    `desired state says ${other} ${wanted[other]}, the boot image's manifest says ${signed[other]}`,
    {
      hint: 'publish the boot image again: `billet image publish REPOSITORY:TAG --platform NAME`',
      details: { field: other, wanted: wanted[other], signed: signed[other] },
    },
  );
}
