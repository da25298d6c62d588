// Which manifests of a repository list a blob or another manifest, so that a delete leaves none with
// something missing. Reads; changes nothing.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from '#shared/artifact/oci/layout.ts';
import {
  type Descriptor,
  ImageIndex,
  parseDocument,
  parseManifest,
} from '#shared/artifact/oci/schema.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';

/** The tag of the referrers of a digest, where a client knows no referrers API. */
const FALLBACK_TAG = /^sha256-[0-9a-f]{64}$/;
const TAG_ANNOTATION = 'org.opencontainers.image.ref.name';

/**
 * Manifests that do not work without `digest`. A list of referrers under their fallback tag is none:
 * who deletes a referrer corrects it afterwards (distribution-spec v1.1, "Deleting Manifests").
 */
export async function holdersOf(layout: Layout, digest: Digest): Promise<Digest[]> {
  const path = join(layout.dir, 'index.json');
  const { manifests } = parseDocument(ImageIndex, await readFile(path), path);
  const holders = new Set<Digest>();
  for (const entry of manifests) {
    if (FALLBACK_TAG.test(entry.annotations?.[TAG_ANNOTATION] ?? '')) continue;
    if ((await partsOf(layout, entry)).includes(digest)) holders.add(entry.digest);
  }
  return [...holders];
}

/** All that a manifest needs in its own repository. Layers from elsewhere are never pushed. */
export function neededBy(parsed: ReturnType<typeof parseManifest>): Digest[] {
  const listed =
    'image' in parsed ? [parsed.image.config, ...parsed.image.layers] : parsed.index.manifests;
  return listed.filter((each) => !isForeign(each)).map(({ digest }) => digest);
}

/** image-spec, layer.md: "Non-Distributable Layers", and Docker's name for them. */
const isForeign = ({ mediaType }: Descriptor): boolean =>
  /\.(?:nondistributable|foreign)\./.test(mediaType);

async function partsOf(layout: Layout, { digest }: Descriptor): Promise<Digest[]> {
  try {
    const { bytes, mediaType } = await layout.manifest(digest);
    return neededBy(parseManifest(bytes, mediaType, digest));
  } catch (error) {
    // A manifest that is damaged on disk holds nothing; who pulls it is told.
    if (error instanceof BilletError) return [];
    throw error;
  }
}
