// What an endpoint answers, as a value, and how it goes out: error bodies, ranges, files as streams.
// Knows HTTP; knows no manifests.

import { createReadStream } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { RegistryCode } from './route.ts';

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A file is sent as a stream. `sizeBytes` of a file counts, not what it has by then. */
  readonly body?: Uint8Array | { readonly path: string; readonly sizeBytes: number };
  /** Whether `Range` of the request is obeyed (RFC 9110 §14). */
  readonly ranges?: boolean;
  /** The request's body was not read to its end: the connection cannot be used again. */
  readonly close?: boolean;
}

const STATUS: Readonly<Record<RegistryCode, number>> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 400,
  BLOB_UPLOAD_UNKNOWN: 404,
  DENIED: 403,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 404,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 413,
  UNSUPPORTED: 405,
};

/** An error body of the specification ("Error Codes"). */
export function refuse(code: RegistryCode, message: string, more: Partial<Answer> = {}): Answer {
  const errors = [{ code, message, detail: null }];
  return { status: STATUS[code], ...json({ errors }), close: true, ...more };
}

export const json = (value: unknown, contentType = 'application/json') => ({
  headers: { 'content-type': contentType },
  body: Buffer.from(JSON.stringify(value)),
});

/** Sends an answer and resolves when it is out. A client that goes away is no error. */
export async function send(request: IncomingMessage, response: ServerResponse, answer: Answer) {
  const sizeBytes = sizeOf(answer);
  const range = answer.ranges ? rangeOf(request.headers.range, sizeBytes) : null;
  if (answer.close && !request.complete) response.setHeader('connection', 'close');
  response.setHeader('docker-distribution-api-version', 'registry/2.0');
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if (answer.ranges) response.setHeader('accept-ranges', 'bytes');
  if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${sizeBytes}`);
    response.removeHeader('content-type');
    response.writeHead(416, { 'content-length': '0' }).end();
    return;
  }
  const [first, last] = range ?? [0, sizeBytes - 1];
  if (range !== null) response.setHeader('content-range', `bytes ${first}-${last}/${sizeBytes}`);
  const bodiless = answer.status === 204 || answer.status === 304;
  if (!bodiless) response.setHeader('content-length', last - first + 1);
  response.writeHead(range === null ? answer.status : 206);
  if (request.method === 'HEAD' || answer.body === undefined || last < first) {
    response.end();
    return;
  }
  if (answer.body instanceof Uint8Array) {
    response.end(answer.body.subarray(first, last + 1));
    return;
  }
  const file = createReadStream(answer.body.path, {
    start: first,
    end: last,
    highWaterMark: 1 << 18,
  });
  await pipeline(file, response).catch(() => response.destroy()); // the client sees a short body
}

function sizeOf({ body }: Answer): number {
  if (body === undefined) return 0;
  return body instanceof Uint8Array ? body.length : body.sizeBytes;
}

/** One range of bytes; several at once, and units that are not bytes, are answered in full. */
function rangeOf(
  header: string | undefined,
  sizeBytes: number,
): readonly [number, number] | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (match === null || (match[1] === '' && match[2] === '')) return null;
  const [from, to] = [match[1] ?? '', match[2] ?? ''];
  if (from === '') {
    const suffix = Math.min(Number(to), sizeBytes);
    return suffix === 0 ? 'unsatisfiable' : [sizeBytes - suffix, sizeBytes - 1];
  }
  const first = Number(from);
  const last = to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
  if (to !== '' && Number(to) < first) return null;
  return first >= sizeBytes ? 'unsatisfiable' : [first, last];
}
