// Uploads blobs and manifests (distribution-spec v1.1, "Pushing blobs"). In one piece with POST and
// PUT, or in parts with PATCH, each part of which can be taken up where the registry has it.

import { sha256 } from '../../digest.ts';
import { referrerDescriptor } from './layout-referrers.ts';
import { failed, isTransient, transient } from './registry-error.ts';
import { type ReferrersClient, withFallbackEntry } from './registry-referrers.ts';
import { type Ask, drop, type Reply, type Requester } from './registry-request.ts';
import { type Descriptor, parseManifest } from './schema.ts';
import type { PutBlobOptions } from './source.ts';
import { verified } from './verified.ts';

/** What pushing needs to know about its registry. */
export interface PushTarget {
  readonly http: Requester;
  /** `/v2/<repository>` */
  readonly base: string;
  readonly name: string;
  readonly scope: string;
  readonly signal: AbortSignal | undefined;
}

const OCTETS = { 'content-type': 'application/octet-stream' };

/** Mounts or uploads. A broken upload is started again; nothing is visible before the last byte. */
export async function pushBlob(
  target: PushTarget,
  descriptor: Descriptor,
  content: () => AsyncIterable<Uint8Array>,
  chunkBytes: number,
  options: PutBlobOptions = {},
): Promise<void> {
  const scoped = { ...target, signal: options.signal ?? target.signal };
  const what = `push ${descriptor.digest} to ${target.name}`;
  await target.http.retry(
    what,
    async () => {
      const session = await openSession(scoped, descriptor, options.mountFrom);
      if (session === null) return;
      const chunks = verified(descriptor, content(), 'the source');
      if (chunkBytes > 0) await inParts(scoped, session, descriptor, chunks, chunkBytes, options);
      else await inOnePiece(scoped, session, descriptor, chunks, options);
    },
    scoped.signal,
  );
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
    const reply = await target.http.retry(ask.what, () => target.http.once(ask), target.signal);
    await drop(reply);
    return reply;
  };
  const reply = await put(tag ?? digest, mediaType, bytes);
  if (body.subject === undefined || reply.headers.get('oci-subject') !== null) return descriptor;
  const entry = referrerDescriptor(descriptor, body);
  const fallback = await withFallbackEntry(referrers, body.subject.digest, entry);
  if (fallback !== null) await put(fallback.tag, FALLBACK_TYPE, fallback.bytes);
  return descriptor;
}

const FALLBACK_TYPE = 'application/vnd.oci.image.index.v1+json';

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
  chunks: AsyncIterable<Uint8Array>,
  { onProgress }: PutBlobOptions,
): Promise<void> {
  const ask = asking(target, 'PUT', withDigest(session, descriptor), [201], {
    headers: { ...OCTETS, 'content-length': String(descriptor.size) },
    body: () => reporting(chunks, onProgress),
  });
  await drop(await target.http.once(ask));
}

async function inParts(
  target: PushTarget,
  session: URL,
  descriptor: Descriptor,
  chunks: AsyncIterable<Uint8Array>,
  chunkBytes: number,
  { onProgress }: PutBlobOptions,
): Promise<void> {
  let url = session;
  let sentBytes = 0;
  for await (const part of inSizes(chunks, chunkBytes)) {
    url = await sendPart(target, url, part, sentBytes);
    sentBytes += part.length;
    onProgress?.(sentBytes);
  }
  const ask = asking(target, 'PUT', withDigest(url, descriptor), [201], {
    headers: { 'content-length': '0' },
  });
  await drop(await target.http.retry(ask.what, () => target.http.once(ask), target.signal));
}

/** Sends one part; after a failure asks the registry how much of it has arrived. */
async function sendPart(
  target: PushTarget,
  session: URL,
  part: Uint8Array,
  start: number,
): Promise<URL> {
  let url = session;
  let arrived = 0;
  const what = `PATCH bytes from ${start} to ${target.name}`;
  return await target.http.retry(
    what,
    async () => {
      const missing = part.subarray(arrived);
      const from = start + arrived;
      if (missing.length === 0) return url;
      try {
        const ask = asking(target, 'PATCH', url.href, [202], {
          headers: {
            ...OCTETS,
            'content-length': String(missing.length),
            'content-range': `${from}-${from + missing.length - 1}`,
          },
          body: () => missing,
        });
        const reply = await target.http.once(ask);
        await drop(reply);
        return locationOf(reply, ask.what);
      } catch (error) {
        if (!isTransient(error)) throw error;
        const status = asking(target, 'GET', url.href, [204]);
        const reply = await target.http.once(status);
        await drop(reply);
        url = locationOf(reply, status.what);
        arrived = Math.max(arrived, receivedBytes(reply) - start);
        throw transient(`${what}: ${error.message}`, error.cause);
      }
    },
    target.signal,
  );
}

/** `Range: 0-<last byte>`; `0-0` or nothing stands for an empty upload or for one byte. */
function receivedBytes(reply: Reply): number {
  const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(reply.headers.get('range') ?? '')?.[1] ?? 0);
  return last === 0 ? 0 : last + 1;
}

function asking(
  target: PushTarget,
  method: Ask['method'],
  url: string,
  expect: readonly number[],
  more: Pick<Ask, 'headers' | 'body'> = {},
): Ask {
  const path = url.split('?')[0] ?? url;
  const what = `${method} ${path} to ${target.name}`;
  return { method, url, scope: target.scope, expect, what, signal: target.signal, ...more };
}

function locationOf(reply: Reply, what: string): URL {
  const location = reply.headers.get('location');
  if (location === null || !URL.canParse(location, reply.url))
    throw failed(`${what}: the registry gave no Location to upload to`);
  return new URL(location, reply.url);
}

function withDigest(session: URL, { digest }: Descriptor): string {
  const url = new URL(session);
  url.searchParams.set('digest', digest);
  return url.href;
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

async function* inSizes(
  chunks: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Buffer, void> {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    heldBytes += chunk.length;
    while (heldBytes >= sizeBytes) {
      const all = Buffer.concat(held);
      yield all.subarray(0, sizeBytes);
      held = [all.subarray(sizeBytes)];
      heldBytes -= sizeBytes;
    }
  }
  if (heldBytes > 0) yield Buffer.concat(held);
}
