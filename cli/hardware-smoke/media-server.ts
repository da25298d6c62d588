// Serves one ISO image over plain HTTP, with ranges, to a BMC that fetches its virtual media: for as
// long as an attempt lasts, and nothing else. The image holds no secret.

import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { BilletError } from '#shared/errors.ts';
import { bareHost } from './bare-host.ts';

export interface MediaServer extends AsyncDisposable {
  readonly url: string;
}

export interface ListenAddress {
  /** As in a URL: an IPv6 address has brackets. */
  readonly host: string;
  readonly port: number;
}

const PATH = '/billet.iso';
/** Not an address that a BMC could be told. */
const EVERYWHERE = ['0.0.0.0', '[::]'];

/** HOST:PORT, an address of this machine as the BMC sees it. Throws ARGUMENT_INVALID for any other text. */
export function parseListen(listen: string): ListenAddress {
  const [, host = '', digits = ''] =
    /^(\[[\da-fA-F:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(listen) ?? [];
  const port = Number(digits);
  if (host !== '' && port <= 65_535 && !EVERYWHERE.includes(host)) return { host, port };
  throw unusable(listen, 'no BMC fetches anything from there');
}

/** Serves until it is disposed. Throws ARGUMENT_INVALID where it cannot. */
export async function serveMedium(
  iso: string,
  { host, port }: ListenAddress,
): Promise<MediaServer> {
  const { size } = await stat(iso);
  const server = createServer((request, response) => {
    const known = request.url === PATH && ['GET', 'HEAD'].includes(request.method ?? '');
    if (!known) {
      response.writeHead(404).end();
      return;
    }
    const range = rangeOf(request.headers.range, size);
    const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' };
    if (range === null) {
      response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
      return;
    }
    const { start, end, partial } = range;
    response.writeHead(partial ? 206 : 200, {
      ...headers,
      'content-length': end - start + 1,
      ...(partial && { 'content-range': `bytes ${start}-${end}/${size}` }),
    });
    if (request.method === 'HEAD' || size === 0) response.end();
    // Whoever hangs up in the middle fetches the rest later.
    else pipeline(createReadStream(iso, { start, end }), response).catch(() => undefined);
  });
  server.listen(port, bareHost(host));
  await once(server, 'listening').catch((cause: Error) => {
    throw unusable(`${host}:${port}`, cause.message, cause);
  });
  const bound = server.address();
  const actual = typeof bound === 'object' && bound !== null ? bound.port : port;
  return {
    url: `http://${host}:${actual}${PATH}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** RFC 9110 §14: one range of bytes; several, or none, are the whole. Null past the end. */
function rangeOf(header: string | undefined, size: number) {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return { start: 0, end: size - 1, partial: false };
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(size - 1, Number(last));
  return start > end ? null : { start, end, partial: true };
}

const unusable = (listen: string, why: string, cause?: unknown) =>
  new BilletError('ARGUMENT_INVALID', `cannot listen on ${listen}: ${why}`, {
    hint: 'give HOST:PORT of this machine, as the BMC reaches it, with a port that is free',
    cause,
  });
