// Asks the metadata service of a cloud: plain HTTP on the link, short limits, no proxy, no redirect.
// Knows no provider.

import { Agent, request } from 'undici';
import { BilletError } from '#shared/errors.ts';

export interface MetadataReply {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface MetadataClient {
  /** Any status is a reply. Throws METADATA_FAILED when there is none in time or it is too large. */
  send(
    method: 'GET' | 'PUT',
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<MetadataReply>;
}

const CONNECT_MS = 1_000;
const REPLY_MS = 3_000;
/** User data is 16 KiB on EC2, and 64 KiB on Azure and OpenStack. */
const REPLY_BYTES_MAX = 256 * 1024;

/** Runs `use` with a client of its own for `baseUrl`, and closes its connections. */
export async function withMetadata<T>(
  baseUrl: string,
  signal: AbortSignal,
  use: (client: MetadataClient) => Promise<T>,
): Promise<T> {
  // Its own: the process's default may be set to a proxy, which has no business on this link.
  const dispatcher = new Agent({ connect: { timeout: CONNECT_MS }, pipelining: 1 });
  const send: MetadataClient['send'] = async (method, path, headers) => {
    const late = AbortSignal.timeout(REPLY_MS);
    const url = baseUrl.replace(/\/+$/, '') + path;
    try {
      const {
        statusCode,
        headers: given,
        body,
      } = await request(url, {
        ...{ method, headers, dispatcher },
        signal: AbortSignal.any([signal, late]),
      });
      return { status: statusCode, headers: given, text: await readBounded(body, url) };
    } catch (cause) {
      signal.throwIfAborted();
      if (cause instanceof BilletError) throw cause;
      const why = late.aborted ? `no answer in ${REPLY_MS / 1000} s` : messageOf(cause);
      throw metadataFailed(`${method} ${url}: ${why}`, cause);
    }
  };
  try {
    return await use({ send });
  } finally {
    await dispatcher.destroy();
  }
}

/** The text of a 200, null for a 404. METADATA_FAILED for anything else, naming the status. */
export function textOf({ status, text }: MetadataReply, where: string): string | null {
  if (status === 200) return text;
  if (status === 404) return null;
  throw metadataFailed(`${where} answered ${status}`, undefined);
}

/** JSON of a metadata service. METADATA_FAILED when it is none. */
export function metadataJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes what it read, which may hold a token.
    throw metadataFailed(`${where} is not JSON`, undefined);
  }
}

export const metadataFailed = (what: string, cause: unknown): BilletError =>
  new BilletError('METADATA_FAILED', what, {
    hint: 'check that the metadata service of this machine is switched on and reached without a router or proxy; or name the identity in another source',
    cause,
  });

async function readBounded(body: AsyncIterable<Uint8Array>, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > REPLY_BYTES_MAX)
      throw metadataFailed(`${url} answered over ${REPLY_BYTES_MAX} bytes`, undefined);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message || cause.name : String(cause);
