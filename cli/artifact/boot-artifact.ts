// A boot image in a repository, as nodes and publications name it. Reads the manifest only.

import { bootImageOf, parseBootManifest } from '#shared/artifact/boot/manifest.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { BootImage } from '#shared/schema/desired.ts';

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
  const boot = parseBootManifest(content, `${repository}:${reference}`);
  return bootImageOf(boot, repository, content.digest);
}
