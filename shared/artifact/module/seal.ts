// Seals an image of a layout into a module: computes the composefs digest of its files and writes it,
// with the module's own description, into the labels of a new config, and the size of each unpacked
// layer into the manifest. Layers, history and diff ids stay as they are. Signs nothing.

import { z } from 'zod';
import { type Digest, hexOf, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { LABEL_FSVERITY, LABEL_MODULE, type ModuleLabel } from '../../schema/module.ts';
import type { Layout } from '../oci/layout.ts';
import { Descriptor, ImageConfig, parseDocument, parseImageManifest } from '../oci/schema.ts';
import type { BlobOptions } from '../oci/source.ts';
import { readBlob } from '../oci/source.ts';
import { imageDigestOf } from './image-digest.ts';
import { CONFIG_LIMIT_BYTES } from './labels.ts';
import { withUnpackedSize } from './unpacked-size.ts';

/** Everything that a rewritten document keeps. */
const Json = z.record(z.string(), z.unknown());
const JsonManifest = z.looseObject({ layers: z.array(Descriptor.loose()) });
const JsonConfig = z.looseObject({ config: z.looseObject({ Labels: Json.nullish() }).nullish() });

export interface Sealed {
  /** Of the sealed manifest. */
  readonly digest: Digest;
  /** fs-verity digest of the composefs image. */
  readonly image: Digest;
  readonly label: ModuleLabel;
  /** False when the image was sealed like this before: nothing was written. */
  readonly changed: boolean;
}

/**
 * Points `tag` at the sealed image; the unsealed one, if nothing else names it, is removed. Throws
 * NOT_FOUND, OCI_INVALID, DIGEST_MISMATCH, TAR_INVALID, PATH_ESCAPE.
 */
export async function sealImage(
  layout: Layout,
  tag: string,
  label: ModuleLabel,
  options: BlobOptions = {},
): Promise<Sealed> {
  const before = await layout.manifest(tag);
  const manifest = parseImageManifest(before.bytes, before.mediaType);
  const configBytes = await readBlob(layout, manifest.config, CONFIG_LIMIT_BYTES);
  const { rootfs } = parseDocument(ImageConfig, configBytes, 'the image config');
  if (rootfs.diff_ids.length !== manifest.layers.length)
    throw new BilletError('OCI_INVALID', 'the config lists other layers than the manifest', {
      hint: 'build the image again',
    });
  const { digest: image, unpackedBytes } = await imageDigestOf(
    layout,
    manifest.layers,
    rootfs.diff_ids,
    options,
  );

  const config = labelled(configBytes, label, image);
  const descriptor = { ...manifest.config, digest: sha256(config), size: config.length };
  const bytes = sealedManifest(before.bytes, descriptor, unpackedBytes);
  const digest = sha256(bytes);
  if (digest === before.digest) return { digest, image, label, changed: false };
  await layout.putBlob(descriptor, () => once(config));
  await layout.putManifest(bytes, before.mediaType, tag);
  await removeUnlessTagged(layout, before.digest);
  return { digest, image, label, changed: true };
}

/** The manifest with another config, and a size beside each layer; other fields stay. */
function sealedManifest(
  bytes: Uint8Array,
  config: Descriptor,
  unpackedBytes: readonly number[],
): Buffer {
  const document = parseDocument(JsonManifest, bytes, 'the manifest');
  const layers = document.layers.map((layer, index) =>
    withUnpackedSize(layer, unpackedBytes[index] ?? 0),
  );
  return Buffer.from(JSON.stringify({ ...document, config, layers }));
}

/** The config with both labels; other labels and fields keep their value and place. */
function labelled(bytes: Uint8Array, label: ModuleLabel, image: Digest): Buffer {
  const document = parseDocument(JsonConfig, bytes, 'the image config');
  const Labels = {
    ...document.config?.Labels,
    [LABEL_FSVERITY]: hexOf(image),
    [LABEL_MODULE]: JSON.stringify(label),
  };
  return Buffer.from(JSON.stringify({ ...document, config: { ...document.config, Labels } }));
}

async function removeUnlessTagged(layout: Layout, digest: Digest): Promise<void> {
  for (const tag of await layout.tags()) if ((await layout.resolve(tag))?.digest === digest) return;
  await layout.removeManifest(digest);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
