// A boot image as an OCI artifact: kernel and initramfs as layers, the kernel's release beside them.
// Builds and reads the manifest; the bytes go through ArtifactTarget.

import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import {
  type Descriptor,
  type ImageManifest,
  parseImageManifest,
} from '#shared/artifact/oci/schema.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { type Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { BootImage } from '#shared/schema/desired.ts';

const BOOT_ARTIFACT_TYPE = 'application/vnd.billet.boot.v1';
export const BOOT_MEDIA = {
  kernel: 'application/vnd.billet.kernel',
  initramfs: 'application/vnd.billet.initramfs',
} as const;

const KERNEL_RELEASE = 'dev.billet.kernel-release';
const COMMAND_LINE = 'dev.billet.command-line';

/** image-spec, manifest.md, "Guidance for an Empty Descriptor". */
export const EMPTY_JSON = Buffer.from('{}');
export const EMPTY_DESCRIPTOR: Descriptor = {
  mediaType: MEDIA.empty,
  digest: sha256(EMPTY_JSON),
  size: EMPTY_JSON.length,
};

export interface BootFiles {
  readonly kernel: Descriptor;
  readonly initramfs: Descriptor;
  readonly kernelRelease: string;
  readonly commandLine: string;
}

/** The manifest's bytes: the same for the same files, so that a push can be repeated. */
export function bootManifest({ kernel, initramfs, kernelRelease, commandLine }: BootFiles): Buffer {
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    artifactType: BOOT_ARTIFACT_TYPE,
    config: EMPTY_DESCRIPTOR,
    layers: [kernel, initramfs],
    annotations: {
      [KERNEL_RELEASE]: kernelRelease,
      ...(commandLine === '' ? {} : { [COMMAND_LINE]: commandLine }),
    },
  };
  return Buffer.from(JSON.stringify(manifest));
}

/**
 * The boot image behind a tag or digest of a repository. Throws NOT_FOUND, and OCI_INVALID when it is
 * something else than a boot image.
 */
export async function readBootImage(
  source: ArtifactSource,
  repository: string,
  reference: string,
): Promise<BootImage> {
  const content = await source.manifest(reference);
  const manifest = parseImageManifest(
    content.bytes,
    content.mediaType,
    `${repository}:${reference}`,
  );
  const parsed = BootImage.safeParse({
    repository,
    manifest: content.digest,
    kernel: layerOf(manifest, BOOT_MEDIA.kernel),
    initramfs: layerOf(manifest, BOOT_MEDIA.initramfs),
    kernelRelease: manifest.annotations?.[KERNEL_RELEASE],
    commandLine: manifest.annotations?.[COMMAND_LINE] ?? '',
  });
  if (manifest.artifactType === BOOT_ARTIFACT_TYPE && parsed.success) return parsed.data;
  throw new BilletError('OCI_INVALID', `${repository}:${reference} is no boot image`, {
    hint: 'push one with `billet image push DIR REPOSITORY:TAG`',
    cause: parsed.error,
  });
}

const layerOf = (manifest: ImageManifest, mediaType: string): Digest | undefined =>
  manifest.layers.find((layer) => layer.mediaType === mediaType)?.digest;
