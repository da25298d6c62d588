// What an image says of itself: label, digests, layers, and what is attached to it. Trusts nothing
// and verifies no signature: that is verify.ts.

import type { Digest } from '../../digest.ts';
import type { ModuleLabel } from '../../schema/module.ts';
import { type Descriptor, parseImageManifest } from '../oci/schema.ts';
import type { ArtifactSource } from '../oci/source.ts';
import { signatureTag } from '../signature/simple-signing.ts';
import { readLabels } from './labels.ts';

export interface Inspected {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly label: ModuleLabel;
  /** fs-verity digest of the composefs image. */
  readonly image: Digest;
  readonly architecture: string | null;
  readonly layers: readonly Descriptor[];
  /** Layers in all, as they travel. */
  readonly sizeBytes: number;
  /** Manifest under cosign's `.sig` tag. */
  readonly signature: Digest | null;
  readonly referrers: readonly Descriptor[];
}

/** Throws NOT_FOUND, DIGEST_MISMATCH, OCI_INVALID, MODULE_INVALID. */
export async function inspectModule(source: ArtifactSource, reference: string): Promise<Inspected> {
  const { bytes, digest, mediaType } = await source.manifest(reference);
  const manifest = parseImageManifest(bytes, mediaType);
  const { config, label, image } = await readLabels(source, manifest);
  return {
    digest,
    mediaType,
    label,
    image,
    architecture: config.architecture ?? null,
    layers: manifest.layers,
    sizeBytes: manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
    signature: (await source.resolve(signatureTag(digest)))?.digest ?? null,
    referrers: await source.referrers(digest),
  };
}
