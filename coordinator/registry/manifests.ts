// Endpoints of manifests, tags and referrers: end-3, end-7, end-8, end-9, end-12 of the distribution
// specification. Returns answers; sends nothing.

import type { IncomingMessage } from 'node:http';
import type { Layout } from '#shared/artifact/oci/layout.ts';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import {
  type Descriptor,
  MANIFEST_LIMIT_BYTES,
  parseManifest,
} from '#shared/artifact/oci/schema.ts';
import { Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type Answer, json, refuse, refuseEach } from './answer.ts';
import { holdersOf, neededBy, subjectOf } from './references.ts';
import type { Repositories } from './repositories.ts';

const PAGE_MAX = 1000;

export async function getManifest(
  repositories: Repositories,
  name: string,
  reference: string,
): Promise<Answer> {
  const layout = await repositories.find(name);
  if (layout === null) return unknownName(name);
  try {
    const { bytes, digest, mediaType } = await layout.manifest(reference);
    return {
      status: 200,
      headers: {
        'content-type': mediaType,
        'docker-content-digest': digest,
        etag: `"${digest}"`,
      },
      body: bytes,
      ranges: true,
    };
  } catch (error) {
    if (!(error instanceof BilletError) || error.code !== 'NOT_FOUND') throw error;
    return unknownManifest(name, reference);
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
  if (bytes === null)
    return refuse('SIZE_INVALID', `over ${MANIFEST_LIMIT_BYTES} bytes`, {
      limitBytes: MANIFEST_LIMIT_BYTES,
    });
  const digest = sha256(bytes);
  const byDigest = Digest.safeParse(reference).success;
  if (byDigest && reference !== digest)
    return refuse('DIGEST_INVALID', `the content is ${digest}, not ${reference}`, {
      expected: reference,
      actual: digest,
    });
  const mediaType = request.headers['content-type']?.split(';')[0]?.trim() ?? '';
  const parsed = parsedOrWhyNot(bytes, mediaType);
  if (typeof parsed === 'string') return refuse('MANIFEST_INVALID', parsed, { reference });
  return await repositories.exclusive(name, async () => {
    const missing = await missingOf(await repositories.find(name), neededBy(parsed));
    if (missing.length > 0) return refuseEach('MANIFEST_BLOB_UNKNOWN', missing.map(pushFirst));
    const layout = await repositories.findOrCreate(name);
    await layout.putManifest(bytes, mediaType, byDigest ? undefined : reference);
    const subject = subjectOf(parsed);
    return {
      status: 201,
      headers: {
        location: `/v2/${name}/manifests/${reference}`,
        'docker-content-digest': digest,
        ...(subject === undefined ? {} : { 'oci-subject': subject }),
      },
    };
  });
}

/** A digest goes with all its tags; a tag alone leaves its manifest. */
export async function deleteManifest(
  repositories: Repositories,
  name: string,
  reference: string,
): Promise<Answer> {
  return await repositories.exclusive(name, async () => {
    const layout = await repositories.find(name);
    if (layout === null) return unknownName(name);
    const digest = Digest.safeParse(reference);
    const listedBy = digest.success ? await holdersOf(layout, digest.data) : [];
    if (listedBy.length > 0)
      return refuse('UNSUPPORTED', `delete ${listedBy[0]} first, which lists it`, { listedBy });
    const removed = digest.success
      ? await layout.removeManifest(digest.data)
      : await layout.removeTag(reference);
    return removed ? { status: 202 } : unknownManifest(name, reference);
  });
}

export async function listTags(
  repositories: Repositories,
  name: string,
  query: URLSearchParams,
): Promise<Answer> {
  const layout = await repositories.find(name);
  if (layout === null) return unknownName(name);
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

/**
 * An image that nobody refers to, and one that is not there, have an empty list. What is gone is not
 * listed, though the index under a fallback tag may still name it.
 */
export async function listReferrers(
  repositories: Repositories,
  name: string,
  digest: Digest,
  query: URLSearchParams,
): Promise<Answer> {
  const artifactType = query.get('artifactType');
  const layout = await repositories.find(name);
  const manifests: Descriptor[] = [];
  for (const each of (await layout?.referrers(digest, artifactType ?? undefined)) ?? [])
    if (await layout?.hasBlob(each.digest)) manifests.push(each);
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

async function missingOf(layout: Layout | null, needed: readonly Digest[]): Promise<Digest[]> {
  if (layout === null) return [...needed];
  const missing: Digest[] = [];
  for (const digest of new Set(needed)) if (!(await layout.hasBlob(digest))) missing.push(digest);
  return missing;
}

const pushFirst = (digest: Digest) => ({ message: `push ${digest} first`, detail: { digest } });
const unknownName = (name: string) => refuse('NAME_UNKNOWN', `no repository ${name}`, { name });
const unknownManifest = (name: string, reference: string) =>
  refuse('MANIFEST_UNKNOWN', `no manifest ${reference} in ${name}`, { name, reference });

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
