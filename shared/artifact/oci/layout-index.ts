// What changes in a layout's index.json when a manifest is tagged or removed. Values in, values out;
// reads and writes no file (image-spec, image-layout.md).

import { Digest } from '../../digest.ts';
import { MEDIA } from './media-types.ts';
import type { Descriptor, ImageIndex } from './schema.ts';

const TAG_ANNOTATION = 'org.opencontainers.image.ref.name';

export const EMPTY_INDEX: ImageIndex = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [] };

const tagOf = (entry: Descriptor): string | undefined => entry.annotations?.[TAG_ANNOTATION];

/** Tags in byte order, as the registry lists them. */
export function tagsOf(index: ImageIndex): string[] {
  const tags = index.manifests.flatMap((entry) => tagOf(entry) ?? []);
  return [...new Set(tags)].sort((a, b) => (a < b ? -1 : 1));
}

/** The entry of a tag or a digest, without the annotation that carries the tag; null if absent. */
export function entryFor(index: ImageIndex, reference: string): Descriptor | null {
  const byDigest = Digest.safeParse(reference).success;
  const entry = index.manifests.find((each) =>
    byDigest ? each.digest === reference : tagOf(each) === reference,
  );
  return entry === undefined ? null : untagged(entry);
}

/**
 * Lists `descriptor`, under `tag` if one is given. The manifest that had the tag stays listed
 * without it. Listing again changes nothing.
 */
export function withManifest(index: ImageIndex, descriptor: Descriptor, tag?: string): ImageIndex {
  if (entryFor(index, tag ?? descriptor.digest)?.digest === descriptor.digest) return index;
  const freed = tag === undefined ? index : withoutTag(index, tag);
  const bare = untagged(descriptor);
  if (tag === undefined) return { ...freed, manifests: [...freed.manifests, bare] };
  const others = freed.manifests.filter(
    (each) => each.digest !== descriptor.digest || tagOf(each) !== undefined,
  );
  const tagged = { ...bare, annotations: { ...bare.annotations, [TAG_ANNOTATION]: tag } };
  return { ...freed, manifests: [...others, tagged] };
}

/** Frees a tag; its manifest stays listed. */
export function withoutTag(index: ImageIndex, tag: string): ImageIndex {
  const entry = index.manifests.find((each) => tagOf(each) === tag);
  if (entry === undefined) return index;
  const others = index.manifests.filter((each) => each !== entry);
  const listed = others.some((each) => each.digest === entry.digest);
  return { ...index, manifests: listed ? others : [...others, untagged(entry)] };
}

/** Removes a manifest and all its tags. */
export function withoutManifest(index: ImageIndex, digest: Digest): ImageIndex {
  return { ...index, manifests: index.manifests.filter((each) => each.digest !== digest) };
}

function untagged(entry: Descriptor): Descriptor {
  const { annotations = {}, ...rest } = entry;
  const { [TAG_ANNOTATION]: _tag, ...others } = annotations;
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
}
