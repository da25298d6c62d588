// What an endpoint answers, as a value, and how it goes out: error bodies, conditions, ranges, files
// as streams. Knows HTTP; knows no manifests.

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
  UNKNOWN: 500,
  UNSUPPORTED: 405,
};

/** What a program can use of a refusal: the names and figures that its message has in words. */
export type Detail = Readonly<Record<string, string | number | readonly string[]>>;

/** An error body of the specification ("Error Codes"). */
export function refuse(
  code: RegistryCode,
  message: string,
  detail: Detail | null = null,
  { headers, ...more }: Partial<Answer> = {},
): Answer {
  return refuseEach(code, [{ message, detail }], { ...more, ...(headers ? { headers } : {}) });
}

/** One refusal for several reasons of one kind, as the specification's list allows. */
export function refuseEach(
  code: RegistryCode,
  reasons: readonly { readonly message: string; readonly detail: Detail | null }[],
  { headers, ...more }: Partial<Answer> = {},
): Answer {
  const { body, headers: type } = json({ errors: reasons.map((each) => ({ code, ...each })) });
  return { status: STATUS[code], body, close: true, ...more, headers: { ...headers, ...type } };
}

export const json = (value: unknown, contentType = 'application/json') => ({
  headers: { 'content-type': contentType },
  body: Buffer.from(JSON.stringify(value)),
});

/** Sends an answer and resolves when it is out. A client that goes away is no error. */
export async function send(request: IncomingMessage, response: ServerResponse, answer: Answer) {
  const sizeBytes = sizeOf(answer);
  const unchanged = answer.status === 200 && isHeld(request, answer.headers?.etag);
  const range = answer.ranges && !unchanged ? rangeOf(request, answer, sizeBytes) : null;
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
  if (unchanged) {
    response.removeHeader('content-type');
    response.writeHead(304).end();
    return;
  }
  if (answer.status !== 204) response.setHeader('content-length', last - first + 1);
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

/** RFC 9110 §13.1.2: the client has what it asks for. */
function isHeld({ headers }: IncomingMessage, etag: string | undefined): boolean {
  const condition = headers['if-none-match']?.trim();
  if (etag === undefined || condition === undefined) return false;
  return (
    condition === '*' || condition.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)
  );
}

/**
 * One range of bytes; several at once, units that are not bytes, and a range of something else
 * (If-Range, RFC 9110 §13.1.5) are answered in full.
 */
function rangeOf(
  { headers }: IncomingMessage,
  answer: Answer,
  sizeBytes: number,
): readonly [number, number] | 'unsatisfiable' | null {
  const header = headers.range;
  const condition = headers['if-range'];
  if (condition !== undefined && condition !== answer.headers?.etag) return null;
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
