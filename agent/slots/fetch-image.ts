// The files of a boot image for a slot: from its registry, once its signature counts under the trust
// policy of the boot image that runs. Whoever coordinates cannot choose what a slot boots.

import { type BootRelease, parseBootManifest } from '#shared/artifact/boot/manifest.ts';
import { verifyBootArtifact } from '#shared/artifact/boot/verify.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';

export interface SlotFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Unverified until it has come to its end. */
  content(): AsyncIterable<Uint8Array>;
}

export interface FetchedImage {
  readonly uki: SlotFile;
  /** Null: the image brings none, and the one on the disk stays. */
  readonly loader: SlotFile | null;
  readonly release: Pick<BootRelease, 'name' | 'sequence'>;
}

export interface FetchDeps {
  readonly sourceFor: (ref: Pick<BootImage, 'repository'>, signal: AbortSignal) => ArtifactSource;
  readonly policy: TrustPolicy;
  /** Of boot images by name: the highest sequence that turned good here. */
  readonly floor: (name: string) => number | undefined;
  /** Manifests that turned good here: going back to them is allowed. */
  readonly exempt: () => ReadonlySet<Digest>;
}

/** Fetches the manifest and its signatures; files only as they are read. Throws what verification throws. */
export async function fetchImage(
  image: BootImage,
  { sourceFor, policy, floor, exempt }: FetchDeps,
  signal: AbortSignal,
): Promise<FetchedImage> {
  const source = sourceFor(image, signal);
  const manifest = await source.manifest(image.manifest);
  const name = parseBootManifest(manifest, `the boot image ${image.manifest}`).release?.name;
  const verified = await verifyBootArtifact({
    ...{ source, manifest, policy, wanted: image },
    floor: name === undefined ? undefined : floor(name),
    exempt: exempt(),
  });
  const file = (descriptor: Descriptor): SlotFile => ({
    digest: descriptor.digest,
    sizeBytes: descriptor.size,
    content: () => source.blob(descriptor, { signal }),
  });
  if (verified.uki === null)
    throw new BilletError('BOOT_IMAGE_INVALID', `the boot image ${image.manifest} has no UKI`, {
      hint: 'build it with `billet image build`, which makes one, and publish it again',
    });
  const { release, loader } = verified;
  return {
    uki: file(verified.uki),
    loader: loader && file(loader),
    release: { name: release.name, sequence: release.sequence },
  };
}
