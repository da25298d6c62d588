// A binary cache over HTTP: the files of a directory, and the ways in which a cache may let a node down.

import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';

/** cut: archives end early, with the length of the whole; short: with their own; flip: one byte is another. */
export type Fault = 'none' | 'cut' | 'short' | 'flip' | 'busy';

export interface CacheServer {
  readonly url: string;
  fault: Fault;
  /** Archives that were asked for. */
  archives: number;
  close(): Promise<void>;
}

export async function serveCache(dir: string): Promise<CacheServer> {
  const server = createServer((request, response) => {
    const file = join(dir, normalize(new URL(request.url ?? '/', 'http://cache').pathname));
    if (cache.fault === 'busy') return void response.writeHead(503).end();
    if (!existsSync(file) || statSync(file).isDirectory())
      return void response.writeHead(404).end();
    const isArchive = file.includes('/nar/');
    if (isArchive) cache.archives += 1;
    answer(response, readFileSync(file), isArchive ? cache.fault : 'none');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cache: CacheServer = {
    url: `http://127.0.0.1:${port}`,
    fault: 'none',
    archives: 0,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return cache;
}

function answer(response: ServerResponse, bytes: Buffer, fault: Fault): void {
  const half = bytes.subarray(0, Math.floor(bytes.length / 2));
  switch (fault) {
    case 'cut':
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(half, () => response.destroy());
      return;
    case 'short':
      response.writeHead(200, { 'content-length': half.length }).end(half);
      return;
    case 'flip': {
      const other = Buffer.from(bytes);
      const at = Math.floor(bytes.length / 2);
      other[at] = (other[at] ?? 0) ^ 0xff;
      response.writeHead(200, { 'content-length': other.length }).end(other);
      return;
    }
    case 'none':
    case 'busy':
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes);
  }
}
