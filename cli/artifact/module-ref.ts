// What a tag means now: reads manifest and label of a module, and pins both. Verifies no signature;
// every node does that for itself before it unpacks anything.

import { readLabels } from '#shared/artifact/module/labels.ts';
import { parseImageManifest } from '#shared/artifact/oci/schema.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { ModuleRef } from '#shared/schema/module.ts';

/** Throws NOT_FOUND, DIGEST_MISMATCH, OCI_INVALID, and MODULE_INVALID when it is not sealed. */
export async function readModuleRef(
  source: ArtifactSource,
  repository: string,
  reference: string,
): Promise<ModuleRef> {
  const content = await source.manifest(reference);
  const what = `${repository}:${reference}`;
  const manifest = parseImageManifest(content.bytes, content.mediaType, what);
  const { label, image } = await readLabels(source, manifest);
  const { name, kind, version } = label;
  return { name, kind, version, repository, manifest: content.digest, image };
}
