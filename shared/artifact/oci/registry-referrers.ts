// Referrers of a manifest in a registry: by the API, and by the tag `sha256-<hex>` where there is no
// API (distribution-spec v1.1, "Listing Referrers", "Referrers Tag Schema").

import { type Digest, sha256 } from '../../digest.ts';
import { MEDIA } from './media-types.ts';
import { referrersTag } from './reference.ts';
import { failed } from './registry-error.ts';
import { type Ask, bodyOf, type Requester } from './registry-request.ts';
import { type Descriptor, ImageIndex, MANIFEST_LIMIT_BYTES, parseDocument } from './schema.ts';
import type { ManifestContent } from './source.ts';

const MAX_PAGES = 100;

export interface ReferrersClient {
  readonly http: Requester;
  readonly base: string;
  readonly ask: (path: string) => Ask;
  readonly manifest: (reference: string) => Promise<ManifestContent | null>;
}

/** All referrers of one type, or of every type. An empty list is no error. */
export async function referrersOf(
  client: ReferrersClient,
  digest: Digest,
  artifactType?: string,
): Promise<Descriptor[]> {
  const listed =
    (await byApi(client, digest, artifactType)) ?? (await byTag(client, digest))?.manifests ?? [];
  return listed.filter((each) => artifactType === undefined || each.artifactType === artifactType);
}

/**
 * The index under the fallback tag with one more entry; null if it is there. Two writers at once may
 * lose one: who writes reads again.
 */
export async function withFallbackEntry(
  client: ReferrersClient,
  subject: Digest,
  entry: Descriptor,
): Promise<{ tag: string; bytes: Buffer } | null> {
  const before = await byTag(client, subject);
  if (before?.manifests.some((each) => each.digest === entry.digest)) return null;
  const after: ImageIndex = {
    ...before,
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: [...(before?.manifests ?? []), entry],
  };
  return { tag: referrersTag(subject), bytes: Buffer.from(JSON.stringify(after)) };
}

/** Null where the registry has no such API. */
async function byApi(
  client: ReferrersClient,
  digest: Digest,
  artifactType: string | undefined,
): Promise<Descriptor[] | null> {
  const filter =
    artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`;
  let next: string | null = `${client.base}/referrers/${digest}${filter}`;
  const found: Descriptor[] = [];
  for (let page = 0; next !== null; page += 1) {
    const ask: Ask = client.ask(next);
    if (page >= MAX_PAGES) throw failed(`${ask.what}: more than ${MAX_PAGES} pages`);
    const { reply, bytes } = await client.http.retry(async () => {
      const answer = await client.http.once(ask);
      return { reply: answer, bytes: await bodyOf(answer, ask.what, MANIFEST_LIMIT_BYTES) };
    }, ask.signal);
    if (reply.status !== 200) return null;
    found.push(...parseDocument(ImageIndex, bytes, 'the list of referrers').manifests);
    next = nextPage(reply.headers.get('link'), reply.url);
  }
  return found;
}

async function byTag(client: ReferrersClient, digest: Digest): Promise<ImageIndex | null> {
  const content = await client.manifest(referrersTag(digest));
  if (content === null || content.mediaType !== MEDIA.index) return null;
  return parseDocument(ImageIndex, content.bytes, `the index ${sha256(content.bytes)}`);
}

/** RFC 8288: `</v2/…?n=…&last=…>; rel="next"`; only within the same origin. */
export function nextPage(link: string | null, from: URL): string | null {
  const target = /<([^>]+)>\s*;[^,]*\brel="?next"?/i.exec(link ?? '')?.[1];
  if (target === undefined || !URL.canParse(target, from)) return null;
  const url = new URL(target, from);
  return url.origin === from.origin ? `${url.pathname}${url.search}` : null;
}
