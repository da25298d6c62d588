// A coordinator that is a process of its own, to be killed, and a line between it and the machines that
// can be cut. Both for faults that no program may survive by being polite.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Fleet, type FleetOptions, fleetConfig, operatorOf } from '../../lab/fleet.ts';

const MAIN = join(import.meta.dirname, '../../coordinator/main.ts');

/** `dispose` is SIGKILL, at whatever it is doing. */
export async function startProcessFleet(options: FleetOptions): Promise<Fleet> {
  const { stateDir } = options;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const path = `${stateDir}.json`;
  await writeFile(path, JSON.stringify(fleetConfig(options)));
  const child = spawn(process.execPath, [MAIN, '--config', path], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(child, 'exit');
  // Also where the test itself is stopped.
  const killed = () => child.kill('SIGKILL');
  process.once('exit', killed);
  const serving = Promise.withResolvers<void>();
  const said: string[] = [];
  // Read to its end: a pipe that nobody empties would stop the coordinator.
  createInterface({ input: child.stderr }).on('line', (line) => {
    said.push(line);
    if (line.includes('>serving url=')) serving.resolve();
  });
  const ended = exited.then(() => serving.reject(new Error(`it ended: ${said.join('\n')}`)));
  await serving.promise;
  return {
    ...(await operatorOf(options, join(stateDir, 'admin.json'))),
    async [Symbol.asyncDispose]() {
      killed();
      await ended;
      process.off('exit', killed);
    },
  };
}

export interface Line {
  readonly port: number;
  /** Bytes from the coordinator to machines so far. */
  readonly bytes: number;
  /** Resolves once so many more bytes went by; from then on nothing is connected, or connects. */
  cutAfter(bytes: number): Promise<void>;
  /** Connections that are made from now on go through. */
  mend(): void;
  close(): void;
}

/** A port of the loopback that leads to another one, byte for byte. */
export async function openLine(target: number): Promise<Line> {
  const open = new Set<Socket>();
  let bytes = 0;
  let isCut = false;
  let plan: { readonly at: number; readonly done: () => void } | null = null;
  const cut = () => {
    isCut = true;
    for (const socket of open) socket.resetAndDestroy();
  };
  const server = createServer((near) => {
    if (isCut) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
    far.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (plan === null || bytes < plan.at) return;
      cut();
      plan.done();
      plan = null;
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return {
    port: address.port,
    get bytes() {
      return bytes;
    },
    cutAfter: (more) =>
      new Promise((done) => {
        plan = { at: bytes + more, done };
      }),
    mend: () => {
      isCut = false;
    },
    close() {
      cut();
      server.close();
    },
  };
}
