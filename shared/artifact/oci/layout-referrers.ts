// Which manifests of a layout refer to which: `subject` for signatures, `manifests` for indexes.
// Remembers what it parsed, for content behind a digest does not change. Writes nothing.

import type { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { entryFor } from './layout-index.ts';
import { MEDIA } from './media-types.ts';
import { referrersTag } from './reference.ts';
import { type Descriptor, type ImageIndex, type ImageManifest, parseManifest } from './schema.ts';
import type { ManifestContent } from './source.ts';

interface Links {
  readonly subject: Digest | null;
  /** As the referrers API lists this manifest (distribution-spec v1.1, "Listing Referrers"). */
  readonly descriptor: Descriptor;
  readonly children: readonly Descriptor[];
}

export interface Referrers {
  of(digest: Digest, artifactType?: string): Promise<Descriptor[]>;
  /** The entry of `digest` if `outer` is an index that lists it. */
  childOf(outer: Descriptor, digest: Digest): Promise<Descriptor | null>;
}

export function openReferrers(layout: {
  readIndex(): Promise<ImageIndex>;
  readManifest(entry: Descriptor): Promise<ManifestContent>;
}): Referrers {
  const known = new Map<Digest, Links>();

  const linksOf = async (entry: Descriptor): Promise<Links | null> => {
    const cached = known.get(entry.digest);
    if (cached !== undefined) return cached;
    try {
      const content = await layout.readManifest(entry);
      const links = parseLinks(entry, content);
      known.set(entry.digest, links);
      return links;
    } catch (error) {
      // One damaged manifest must not hide the referrers of the others; reading it says so.
      if (error instanceof BilletError) return null;
      throw error;
    }
  };

  return {
    async of(digest, artifactType) {
      const index = await layout.readIndex();
      const found = new Map<Digest, Descriptor>();
      for (const entry of index.manifests) {
        const links = await linksOf(entry);
        if (links?.subject === digest) found.set(entry.digest, links.descriptor);
      }
      const fallback = entryFor(index, referrersTag(digest));
      for (const entry of fallback === null ? [] : ((await linksOf(fallback))?.children ?? []))
        if (!found.has(entry.digest)) found.set(entry.digest, entry);
      return [...found.values()].filter(
        (each) => artifactType === undefined || each.artifactType === artifactType,
      );
    },
    async childOf(outer, digest) {
      if (outer.mediaType !== MEDIA.index && outer.mediaType !== MEDIA.dockerManifestList)
        return null;
      const links = await linksOf(outer);
      return links?.children.find((child) => child.digest === digest) ?? null;
    },
  };
}

function parseLinks(entry: Descriptor, { bytes, digest, mediaType }: ManifestContent): Links {
  const parsed = parseManifest(bytes, mediaType, digest);
  const body = 'image' in parsed ? parsed.image : parsed.index;
  return {
    subject: body.subject?.digest ?? null,
    descriptor: referrerDescriptor(
      { mediaType: entry.mediaType, digest, size: bytes.length },
      body,
    ),
    children: 'index' in parsed ? parsed.index.manifests : [],
  };
}

/** How a manifest is listed among the referrers of its subject. */
export function referrerDescriptor(
  descriptor: Descriptor,
  body: ImageManifest | ImageIndex,
): Descriptor {
  const artifactType = body.artifactType ?? ('config' in body ? body.config.mediaType : undefined);
  return {
    ...descriptor,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(body.annotations === undefined ? {} : { annotations: body.annotations }),
  };
}
