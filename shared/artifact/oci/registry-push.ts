// Pushes blobs and manifests (distribution-spec v1.1, "Push"): what is there is mounted, else it goes up
// in one piece or in parts; where the registry lists no referrers, the client does.

import { sha256 } from '../../digest.ts';
import { referrerDescriptor } from './layout-referrers.ts';
import { MEDIA } from './media-types.ts';
import { type ReferrersClient, withFallbackEntry } from './registry-referrers.ts';
import { drop } from './registry-request.ts';
import {
  asking,
  inParts,
  locationOf,
  OCTETS,
  type PushTarget,
  withDigest,
} from './registry-upload.ts';
import { type Descriptor, parseManifest } from './schema.ts';
import type { PutBlobOptions } from './source.ts';
import { verified } from './verified.ts';

/**
 * Mounts or uploads. A part that breaks goes on where the registry has it; an upload that the registry
 * has lost is started again. Nothing is visible before the last byte.
 */
export async function pushBlob(
  target: PushTarget,
  descriptor: Descriptor,
  content: () => AsyncIterable<Uint8Array>,
  chunkBytes: number,
  options: PutBlobOptions = {},
): Promise<void> {
  const scoped = { ...target, signal: options.signal ?? target.signal };
  await target.http.retry(async () => {
    const session = await openSession(scoped, descriptor, options.mountFrom);
    if (session === null) return;
    const chunks = () => verified(descriptor, content(), 'the source');
    if (chunkBytes > 0) await inParts(scoped, session, descriptor, chunks(), chunkBytes, options);
    else await inOnePiece(scoped, session, descriptor, chunks, options);
  }, scoped.signal);
}

/** Puts a manifest under its digest and, if given, a tag; lists it as a referrer of its subject. */
export async function pushManifest(
  target: PushTarget,
  referrers: ReferrersClient,
  bytes: Uint8Array,
  mediaType: string,
  tag: string | undefined,
): Promise<Descriptor> {
  const digest = sha256(bytes);
  const parsed = parseManifest(bytes, mediaType, digest);
  const body = 'image' in parsed ? parsed.image : parsed.index;
  const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
  const put = async (reference: string, type: string, content: Uint8Array) => {
    const ask = asking(target, 'PUT', `${target.base}/manifests/${reference}`, [201], {
      headers: { 'content-type': type },
      body: () => content,
    });
    const reply = await target.http.retry(() => target.http.once(ask), target.signal);
    await drop(reply);
    return reply;
  };
  const reply = await put(tag ?? digest, mediaType, bytes);
  if (body.subject === undefined || reply.headers.get('oci-subject') !== null) return descriptor;
  const entry = referrerDescriptor(descriptor, body);
  // Read again after writing: another client may have written its entry over this one.
  for (let tries = 0; tries < FALLBACK_TRIES; tries += 1) {
    const fallback = await withFallbackEntry(referrers, body.subject.digest, entry);
    if (fallback === null) return descriptor;
    await put(fallback.tag, MEDIA.index, fallback.bytes);
  }
  return descriptor;
}

const FALLBACK_TRIES = 4;

/** The URL to upload to, or null when the registry mounted the blob. */
async function openSession(
  target: PushTarget,
  { digest }: Descriptor,
  mountFrom: string | undefined,
): Promise<URL | null> {
  const mount = new URLSearchParams({ mount: digest, from: mountFrom ?? '' });
  const query = mountFrom === undefined ? '' : `?${mount}`;
  const ask = asking(target, 'POST', `${target.base}/blobs/uploads/${query}`, [201, 202], {
    headers: { 'content-length': '0' },
  });
  const reply = await target.http.once(ask);
  await drop(reply);
  return reply.status === 201 ? null : locationOf(reply, ask.what);
}

async function inOnePiece(
  target: PushTarget,
  session: URL,
  descriptor: Descriptor,
  chunks: () => AsyncIterable<Uint8Array>,
  { onProgress }: PutBlobOptions,
): Promise<void> {
  const ask = asking(target, 'PUT', withDigest(session, descriptor), [201], {
    headers: { ...OCTETS, 'content-length': String(descriptor.size) },
    body: () => reporting(chunks(), onProgress),
  });
  await drop(await target.http.once(ask));
}

async function* reporting(
  chunks: AsyncIterable<Uint8Array>,
  onProgress: ((sentBytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array, void> {
  let sentBytes = 0;
  for await (const chunk of chunks) {
    yield chunk;
    sentBytes += chunk.length;
    onProgress?.(sentBytes);
  }
}
