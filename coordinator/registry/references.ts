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

type Parsed = ReturnType<typeof parseManifest>;

/** The tag of the referrers of a digest, where a client knows no referrers API. */
const FALLBACK_TAG = /^sha256-[0-9a-f]{64}$/;
const TAG_ANNOTATION = 'org.opencontainers.image.ref.name';

/**
 * Manifests that do not work without `digest`. A list of referrers is none: who deletes a referrer
 * corrects the list under the fallback tag (distribution-spec v1.1, "Deleting Manifests"), and the
 * list before that stays behind without a tag.
 */
export async function holdersOf(layout: Layout, digest: Digest): Promise<Digest[]> {
  const own = await parsedOrNull(layout, digest);
  if (own !== null && subjectOf(own) !== undefined) return [];
  const path = join(layout.dir, 'index.json');
  const { manifests } = parseDocument(ImageIndex, await readFile(path), path);
  const holders = new Set<Digest>();
  for (const entry of manifests) {
    if (FALLBACK_TAG.test(entry.annotations?.[TAG_ANNOTATION] ?? '')) continue;
    const parsed = await parsedOrNull(layout, entry.digest);
    if (parsed !== null && neededBy(parsed).includes(digest)) holders.add(entry.digest);
  }
  return [...holders];
}

/** What a manifest is attached to (image-spec, manifest.md, "subject"). */
export const subjectOf = (parsed: Parsed): Digest | undefined =>
  ('image' in parsed ? parsed.image : parsed.index).subject?.digest;

/** All that a manifest needs in its own repository. Layers from elsewhere are never pushed. */
export function neededBy(parsed: Parsed): Digest[] {
  const listed =
    'image' in parsed ? [parsed.image.config, ...parsed.image.layers] : parsed.index.manifests;
  return listed.filter((each) => !isForeign(each)).map(({ digest }) => digest);
}

/** image-spec, layer.md: "Non-Distributable Layers", and Docker's name for them. */
const isForeign = ({ mediaType }: Descriptor): boolean =>
  /\.(?:nondistributable|foreign)\./.test(mediaType);

/** Null for what is no manifest, or one that is damaged on disk: who pulls that is told. */
async function parsedOrNull(layout: Layout, digest: Digest): Promise<Parsed | null> {
  try {
    const { bytes, mediaType } = await layout.manifest(digest);
    return parseManifest(bytes, mediaType, digest);
  } catch (error) {
    if (error instanceof BilletError) return null;
    throw error;
  }
}
