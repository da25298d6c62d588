// Endpoints of manifests, tags and referrers: end-3, end-7, end-8, end-9, end-12 of the distribution
// specification. Returns answers; sends nothing.

import type { IncomingMessage } from 'node:http';
import type { Layout } from '#shared/artifact/oci/layout.ts';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import { MANIFEST_LIMIT_BYTES, parseManifest } from '#shared/artifact/oci/schema.ts';
import { Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type Answer, json, refuse } from './answer.ts';
import type { Repositories } from './repositories.ts';

const PAGE_MAX = 1000;

export async function getManifest(
  repositories: Repositories,
  name: string,
  reference: string,
  request: IncomingMessage,
): Promise<Answer> {
  const layout = await repositories.find(name);
  if (layout === null) return refuse('NAME_UNKNOWN', `no repository ${name}`);
  try {
    const { bytes, digest, mediaType } = await layout.manifest(reference);
    const headers = { 'docker-content-digest': digest, etag: `"${digest}"` };
    if (request.headers['if-none-match'] === headers.etag) return { status: 304, headers };
    return {
      status: 200,
      headers: { ...headers, 'content-type': mediaType },
      body: bytes,
      ranges: true,
    };
  } catch (error) {
    if (!(error instanceof BilletError) || error.code !== 'NOT_FOUND') throw error;
    return refuse('MANIFEST_UNKNOWN', `no manifest ${reference} in ${name}`);
  }
}

/** Accepted only when its digest is the one asked for and everything that it names is here. */
export async function putManifest(
  repositories: Repositories,
  name: string,
  reference: string,
  request: IncomingMessage,
): Promise<Answer> {
  const bytes = await bodyOf(request);
  if (bytes === null) return refuse('SIZE_INVALID', `over ${MANIFEST_LIMIT_BYTES} bytes`);
  const digest = sha256(bytes);
  const byDigest = Digest.safeParse(reference).success;
  if (byDigest && reference !== digest)
    return refuse('DIGEST_INVALID', `the content is ${digest}, not ${reference}`);
  const mediaType = request.headers['content-type']?.split(';')[0]?.trim() ?? '';
  const layout = await repositories.findOrCreate(name);
  const parsed = parsedOrWhyNot(bytes, mediaType);
  if (typeof parsed === 'string') return refuse('MANIFEST_INVALID', parsed);
  const missing = await firstMissing(layout, parsed);
  if (missing !== null) return refuse('MANIFEST_BLOB_UNKNOWN', `push ${missing} first`);
  await layout.putManifest(bytes, mediaType, byDigest ? undefined : reference);
  const subject = ('image' in parsed ? parsed.image : parsed.index).subject?.digest;
  return {
    status: 201,
    headers: {
      location: `/v2/${name}/manifests/${reference}`,
      'docker-content-digest': digest,
      ...(subject === undefined ? {} : { 'oci-subject': subject }),
    },
  };
}

export async function deleteManifest(
  repositories: Repositories,
  name: string,
  reference: string,
): Promise<Answer> {
  const layout = await repositories.find(name);
  const digest = Digest.safeParse(reference);
  const removed = digest.success
    ? await layout?.removeManifest(digest.data)
    : await layout?.removeTag(reference);
  return removed === true
    ? { status: 202 }
    : refuse('MANIFEST_UNKNOWN', `no manifest ${reference} in ${name}`);
}

export async function listTags(
  repositories: Repositories,
  name: string,
  query: URLSearchParams,
): Promise<Answer> {
  const layout = await repositories.find(name);
  if (layout === null) return refuse('NAME_UNKNOWN', `no repository ${name}`);
  const { page, link } = paged(await layout.tags(), query, `/v2/${name}/tags/list`);
  const { headers, body } = json({ name, tags: page });
  return { status: 200, headers: { ...headers, ...link }, body };
}

export async function listRepositories(
  repositories: Repositories,
  query: URLSearchParams,
): Promise<Answer> {
  const { page, link } = paged(await repositories.names(), query, '/v2/_catalog');
  const { headers, body } = json({ repositories: page });
  return { status: 200, headers: { ...headers, ...link }, body };
}

/** An image that nobody refers to, and one that is not there, have an empty list. */
export async function listReferrers(
  repositories: Repositories,
  name: string,
  digest: Digest,
  query: URLSearchParams,
): Promise<Answer> {
  const artifactType = query.get('artifactType');
  const layout = await repositories.find(name);
  const manifests = (await layout?.referrers(digest, artifactType ?? undefined)) ?? [];
  const { headers, body } = json(
    { schemaVersion: 2, mediaType: MEDIA.index, manifests },
    MEDIA.index,
  );
  const filtered = artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' };
  return { status: 200, headers: { ...headers, ...filtered }, body };
}

/** `n` entries after `last`, and a Link to the rest (RFC 8288). */
function paged(all: readonly string[], query: URLSearchParams, path: string) {
  const asked = query.get('n');
  const limit = asked !== null && /^\d{1,6}$/.test(asked) ? Number(asked) : PAGE_MAX;
  const last = query.get('last');
  const after = last === null ? all : all.filter((entry) => entry > last);
  const page = after.slice(0, Math.min(limit, PAGE_MAX));
  const end = page.at(-1);
  const more = end !== undefined && page.length < after.length;
  const next = new URLSearchParams({ n: String(page.length), last: end ?? '' });
  const link: Record<string, string> = more ? { link: `<${path}?${next}>; rel="next"` } : {};
  return { page, link };
}

async function firstMissing(
  layout: Layout,
  parsed: ReturnType<typeof parseManifest>,
): Promise<Digest | null> {
  const needed =
    'image' in parsed ? [parsed.image.config, ...parsed.image.layers] : parsed.index.manifests;
  for (const { digest } of needed) if (!(await layout.hasBlob(digest))) return digest;
  return null;
}

/** A text says why it is none. */
function parsedOrWhyNot(
  bytes: Uint8Array,
  mediaType: string,
): ReturnType<typeof parseManifest> | string {
  const known: readonly string[] = [
    MEDIA.manifest,
    MEDIA.index,
    MEDIA.dockerManifest,
    MEDIA.dockerManifestList,
  ];
  if (!known.includes(mediaType)) return `Content-Type ${mediaType} is no manifest's`;
  try {
    return parseManifest(bytes, mediaType);
  } catch (error) {
    if (error instanceof BilletError) return error.message;
    throw error;
  }
}

/** Null when it is over the limit. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of request) {
    sizeBytes += chunk.length;
    if (sizeBytes > MANIFEST_LIMIT_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
