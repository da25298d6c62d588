// Index, manifest, descriptor and config of OCI image-spec v1.1, as read from anywhere. Unknown keys
// are allowed, as the specification asks; what Billet acts on is checked. Bytes are kept by callers:
// a parsed document is never written back in place of the bytes that a digest covers.

import { z } from 'zod';
import { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { describeFaults } from '../../schema/faults.ts';
import { MEDIA } from './media-types.ts';

/** The largest manifest or index that is read or accepted (distribution-spec: at least 4 MiB). */
export const MANIFEST_LIMIT_BYTES = 4 * 1024 * 1024;

const Annotations = z.record(z.string(), z.string());
const MediaType = z
  .string()
  .regex(/^[A-Za-z0-9][\w!#$&^.+-]{0,126}\/[A-Za-z0-9][\w!#$&^.+-]{0,126}$/);

/** image-spec, descriptor.md. `size` is bytes. */
export const Descriptor = z.object({
  mediaType: MediaType,
  digest: Digest,
  size: z.int().nonnegative(),
  annotations: Annotations.optional(),
  artifactType: z.string().optional(),
});
export type Descriptor = z.infer<typeof Descriptor>;

/** image-spec, manifest.md: an image, or with `artifactType` and `subject` any artifact. */
export const ImageManifest = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([MEDIA.manifest, MEDIA.dockerManifest]).optional(),
  artifactType: z.string().optional(),
  config: Descriptor,
  layers: z.array(Descriptor).max(1024),
  subject: Descriptor.optional(),
  annotations: Annotations.optional(),
});
export type ImageManifest = z.infer<typeof ImageManifest>;

/** image-spec, image-index.md; also `index.json` of a layout and a referrers reply. */
export const ImageIndex = z.object({
  schemaVersion: z.literal(2),
  mediaType: z.enum([MEDIA.index, MEDIA.dockerManifestList]).optional(),
  artifactType: z.string().optional(),
  manifests: z.array(Descriptor),
  subject: Descriptor.optional(),
  annotations: Annotations.optional(),
});
export type ImageIndex = z.infer<typeof ImageIndex>;

/** image-spec, config.md: the parts that Billet reads; the rest is kept as it is. */
export const ImageConfig = z.looseObject({
  architecture: z.string().optional(),
  os: z.string().optional(),
  config: z.looseObject({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(Digest) }),
});
export type ImageConfig = z.infer<typeof ImageConfig>;

/** Parses JSON bytes with a schema. Throws OCI_INVALID, naming `what`. */
export function parseDocument<S extends z.ZodType>(
  schema: S,
  bytes: Uint8Array,
  what: string,
): z.infer<S> {
  const parsed = schema.safeParse(jsonOf(bytes, what));
  if (parsed.success) return parsed.data;
  throw invalid(what, describeFaults(parsed.error));
}

/**
 * A manifest or an index, told apart by its content. One that could be read as both is refused
 * (CVE-2021-41190), and so is one whose own `mediaType` contradicts `mediaType`.
 */
export function parseManifest(
  bytes: Uint8Array,
  mediaType: string,
  what = 'the manifest',
): { readonly image: ImageManifest } | { readonly index: ImageIndex } {
  const json = z.looseObject({ mediaType: z.unknown() }).partial().safeParse(jsonOf(bytes, what));
  if (!json.success) throw invalid(what, 'not a JSON object');
  const body = json.data;
  if ('manifests' in body && ('layers' in body || 'config' in body))
    throw invalid(what, 'both an index and an image manifest');
  if (body.mediaType !== undefined && body.mediaType !== mediaType)
    throw invalid(what, `mediaType says ${String(body.mediaType)}, transport says ${mediaType}`);
  return mediaType === MEDIA.index || mediaType === MEDIA.dockerManifestList
    ? { index: parseDocument(ImageIndex, bytes, what) }
    : { image: parseDocument(ImageManifest, bytes, what) };
}

/** Like parseManifest, and OCI_INVALID when it is an index. */
export function parseImageManifest(
  bytes: Uint8Array,
  mediaType: string,
  what = 'the manifest',
): ImageManifest {
  const parsed = parseManifest(bytes, mediaType, what);
  if ('image' in parsed) return parsed.image;
  throw invalid(what, 'an index of several manifests where one image is expected');
}

function jsonOf(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid(what, 'not JSON', cause);
  }
}

function invalid(what: string, why: string, cause?: unknown): BilletError {
  return new BilletError('OCI_INVALID', `${what} is not valid OCI: ${why}`, {
    hint: 'look at it with `skopeo inspect --raw`; build and push the image again',
    cause,
    details: { what },
  });
}
