// One upload session of a registry: its URL as the registry moves it, and a blob in parts, each of which
// can be taken up where the registry has it (distribution-spec v1.1, "Pushing a blob in chunks").

import { failed, isTransient, transient } from './registry-error.ts';
import { type Ask, drop, type Reply, type Requester } from './registry-request.ts';
import type { Descriptor } from './schema.ts';
import type { PutBlobOptions } from './source.ts';

/** What pushing needs to know about its registry. */
export interface PushTarget {
  readonly http: Requester;
  /** `/v2/<repository>` */
  readonly base: string;
  readonly name: string;
  readonly scope: string;
  readonly signal: AbortSignal | undefined;
}

export const OCTETS = { 'content-type': 'application/octet-stream' };

/** Sends all parts and closes the upload. Throws Transient for one that has to start again. */
export async function inParts(
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
  const ask = asking(target, 'PUT', withDigest(url, descriptor), [201, 404], {
    headers: { 'content-length': '0' },
  });
  const reply = await target.http.retry(() => target.http.once(ask), target.signal);
  await drop(reply);
  // An earlier try may have got through, and only its reply not.
  if (reply.status === 404 && !(await isThere(target, descriptor))) throw lost(ask.what);
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
  const next = await target.http.retry(async () => {
    const missing = part.subarray(arrived);
    const from = start + arrived;
    if (missing.length === 0) return url;
    const ask = asking(target, 'PATCH', url.href, [202, 404, 416], {
      headers: {
        ...OCTETS,
        'content-length': String(missing.length),
        'content-range': `${from}-${from + missing.length - 1}`,
      },
      body: () => missing,
    });
    const failure = await target.http.once(ask).then(
      async (reply) => {
        await drop(reply);
        if (reply.status === 404) return null;
        return reply.status === 416 ? transient(`${what}: it is elsewhere`) : reply;
      },
      (error: unknown) => {
        if (isTransient(error)) return error;
        throw error;
      },
    );
    if (failure === null) return null;
    if (!isTransient(failure)) return locationOf(failure, ask.what);
    const status = asking(target, 'GET', url.href, [204, 404]);
    const reply = await target.http.once(status);
    await drop(reply);
    if (reply.status === 404) return null;
    url = locationOf(reply, status.what);
    const received = receivedBytes(reply);
    if (received < start) return null; // earlier parts are gone
    arrived = received - start;
    throw failure;
  }, target.signal);
  if (next === null) throw lost(what);
  return next;
}

/** The registry knows the upload no more: it is started again. */
const lost = (what: string) => transient(`${what}: the registry has lost the upload`);

async function isThere(target: PushTarget, { digest }: Descriptor): Promise<boolean> {
  const ask = asking(target, 'HEAD', `${target.base}/blobs/${digest}`, [200, 404]);
  const reply = await target.http.retry(() => target.http.once(ask), target.signal);
  await drop(reply);
  return reply.status === 200;
}

/** `Range: 0-<last byte>`; `0-0` or nothing stands for an empty upload or for one byte. */
function receivedBytes(reply: Reply): number {
  const last = Number(/^(?:bytes=)?0-(\d+)$/.exec(reply.headers.get('range') ?? '')?.[1] ?? 0);
  return last === 0 ? 0 : last + 1;
}

export function asking(
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

export function locationOf(reply: Reply, what: string): URL {
  const location = reply.headers.get('location');
  if (location === null || !URL.canParse(location, reply.url))
    throw failed(`${what}: the registry gave no Location to upload to`);
  return new URL(location, reply.url);
}

export function withDigest(session: URL, { digest }: Descriptor): string {
  const url = new URL(session);
  url.searchParams.set('digest', digest);
  return url.href;
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
