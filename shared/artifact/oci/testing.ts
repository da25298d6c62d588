// A server on loopback that answers as a test says. Imported by tests only.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { systemClock } from '../../clock.ts';
import { openRegistry, type RegistryOptions } from './registry.ts';

export interface FakeServer {
  readonly origin: string;
  /** `METHOD path`, in order. */
  readonly asked: string[];
}

/** `answer` is called for each request; `count` is 1 for the first. */
export async function fakeServer(
  test: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse, count: number) => unknown,
): Promise<FakeServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.on('error', () => response.destroy());
    void answer(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.after(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** A client that hurries: three tries, a few milliseconds apart. */
export const hastyClient = (origin: string, options: Partial<RegistryOptions> = {}) =>
  openRegistry({
    origin,
    repository: 'r',
    clock: systemClock,
    random: () => 0.5,
    backoff: { attempts: 3, baseMs: 4, capMs: 20 },
    stall: { minBytesPerSecond: 1024, windowMs: 60 },
    ...options,
  });
