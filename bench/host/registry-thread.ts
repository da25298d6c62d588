// The embedded registry on a thread of its own, so that it costs those that pull from it nothing of
// their own thread, as one on another machine. Plain HTTP on loopback; serves, decides nothing.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '#shared/clock.ts';
import { openRegistryServer } from '../../coordinator/registry/handler.ts';

const { root } = workerData as { readonly root: string };
const { handle } = await openRegistryServer({ root, clock: systemClock });
const server = createServer((request, response) => {
  void handle(request, response, { role: 'write' });
});
server.listen(0, '127.0.0.1', () => {
  parentPort?.postMessage((server.address() as AddressInfo).port);
});
