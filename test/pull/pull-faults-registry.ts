// A registry on loopback that answers as the distribution specification says, but for what a test has
// it do wrong. Serves a layout; for tests of pulling only.
//
// Its honest answers are the examples of distribution-spec v1.1, "Pulling manifests", "Pulling blobs"
// and "Error Codes", and of RFC 9110 §14.2 (Range), §15.3.7 (206), §15.5.17 (416).

import { readFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Layout } from '#shared/artifact/oci/layout.ts';
import { openRegistry, type RegistryOptions } from '#shared/artifact/oci/registry.ts';
import { systemClock } from '#shared/clock.ts';
import { Digest } from '#shared/digest.ts';

export interface Asked {
  readonly kind: 'manifest' | 'blob' | 'other';
  /** Tag or digest. */
  readonly reference: string;
  /** First byte of the range that was asked for; null without one. */
  readonly from: number | null;
  readonly headers: IncomingHttpHeaders;
  /** Requests for this path so far, this one included. */
  readonly count: number;
  readonly bytes: Buffer;
  readonly mediaType: string;
}

/** Answers in its own way and returns true; else the answer is the right one. */
export type Fault = (asked: Asked, response: ServerResponse) => boolean;

export interface FaultyRegistry {
  readonly origin: string;
  readonly asked: Asked[];
  fault: Fault;
  /** First bytes of the ranges asked for this blob, in order; 0 for the whole. */
  startsOf(digest: Digest): number[];
}

export const honest: Fault = () => false;

export async function faultyRegistry(
  context: TestContext,
  layout: Layout,
  fault: Fault = honest,
): Promise<FaultyRegistry> {
  const asked: Asked[] = [];
  const counts = new Map<string, number>();
  const server = createServer(async ({ url = '', headers }, response) => {
    response.on('error', () => undefined);
    const count = (counts.get(url) ?? 0) + 1;
    counts.set(url, count);
    const [, part = '', reference = ''] = /\/(manifests|blobs)\/([^/?]+)$/.exec(url) ?? [];
    const kind = part === 'manifests' ? 'manifest' : part === 'blobs' ? 'blob' : 'other';
    const found = await contentOf(layout, kind, decodeURIComponent(reference));
    const range = /^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1];
    const one: Asked = {
      ...{ kind, reference, headers, count },
      from: range === undefined ? null : Number(range),
      bytes: found?.bytes ?? Buffer.alloc(0),
      mediaType: found?.mediaType ?? '',
    };
    asked.push(one);
    if (registry.fault(one, response)) return;
    if (found === null) notFound(response, kind);
    else right(one, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const registry: FaultyRegistry = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    fault,
    startsOf: (digest) =>
      asked.filter(({ reference }) => reference === digest).map(({ from }) => from ?? 0),
  };
  return registry;
}

/** What a right registry answers. */
export function right({ bytes, mediaType, from }: Asked, response: ServerResponse): void {
  const type = { 'content-type': mediaType };
  if (from === null)
    response.writeHead(200, { ...type, 'content-length': bytes.length }).end(bytes);
  else if (from >= bytes.length)
    response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
  else {
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    const length = bytes.length - from;
    response
      .writeHead(206, { ...type, 'content-length': length, 'content-range': range })
      .end(bytes.subarray(from));
  }
}

/** The right headers, then `sent` bytes of the body, then nothing: RFC 9112 §8, incomplete messages. */
export function cutAfter(sent: number, asked: Asked, response: ServerResponse): void {
  const { bytes, from, mediaType } = asked;
  const rest = bytes.subarray(from ?? 0);
  const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
  const length = { 'content-type': mediaType, 'content-length': rest.length };
  response.writeHead(from === null ? 200 : 206, from === null ? length : { ...length, ...range });
  if (sent === 0) response.flushHeaders();
  // What is on its way when a connection is reset is lost: wait until the client has it.
  const cut = () => setTimeout(() => response.destroy(), 10);
  if (sent === 0) cut();
  else response.write(rest.subarray(0, sent), cut);
}

function notFound(response: ServerResponse, kind: Asked['kind']): void {
  const code = kind === 'manifest' ? 'MANIFEST_UNKNOWN' : 'BLOB_UNKNOWN';
  const body = JSON.stringify({ errors: [{ code, message: 'unknown', detail: {} }] });
  response.writeHead(404, { 'content-type': 'application/json' }).end(body);
}

async function contentOf(layout: Layout, kind: Asked['kind'], reference: string) {
  if (kind === 'other' || (await layout.resolve(reference).catch(() => null)) === null) {
    const digest = Digest.safeParse(reference);
    if (kind !== 'blob' || !digest.success || !(await layout.hasBlob(digest.data))) return null;
    const bytes = await readFile(layout.blobPath(digest.data));
    return { bytes, mediaType: 'application/octet-stream' };
  }
  const { bytes, mediaType } = await layout.manifest(reference);
  return { bytes: Buffer.from(bytes), mediaType };
}

/** The agent's client, in a hurry: four tries a few milliseconds apart, and a short patience. */
export const hastySource = (origin: string, options: Partial<RegistryOptions> = {}) =>
  openRegistry({
    origin,
    repository: 'team/app',
    clock: systemClock,
    random: () => 0.5,
    backoff: { attempts: 4, baseMs: 4, capMs: 20 },
    stall: { minBytesPerSecond: 128, windowMs: 150 },
    timeoutMs: 5000,
    ...options,
  });
