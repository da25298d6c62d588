// The coordinator as it is shipped, as a process of its own, so that what it uses is counted apart
// from what its clients use. Loopback; the state directory is made before.

import { fileURLToPath } from 'node:url';
import type { Held, Used } from './coordinator-preload.ts';
import { startProcess } from './drivers/process.ts';

export interface CoordinatorProcess {
  readonly url: string;
  used(): Promise<Used>;
  held(): Promise<Held>;
  /** CPU milliseconds of the coordinator while `work` ran. */
  during<T>(work: () => Promise<T>): Promise<{ readonly cpuMs: number; readonly result: T }>;
  stop(): Promise<void>;
}

const PROGRAM = new URL('../../coordinator/main.ts', import.meta.url).href;
const PRELOAD = fileURLToPath(new URL('./coordinator-preload.ts', import.meta.url));

export async function startCoordinatorProcess(
  stateDir: string,
  signal: AbortSignal,
): Promise<CoordinatorProcess> {
  const listen = ['--listen', '127.0.0.1:0', '--boot-listen', 'none'];
  const server = startProcess({
    program: PROGRAM,
    args: ['--state-dir', stateDir, ...listen],
    nodeArgs: ['--expose-gc', '--import', PRELOAD],
    signal,
  });
  const [, url = ''] = await server.line(/serving url=(\S+)/);
  const used = () => server.ask('used') as Promise<Used>;
  return {
    url,
    used,
    held: () => server.ask('held') as Promise<Held>,
    async during(work) {
      const before = await used();
      const result = await work();
      return { cpuMs: (await used()).cpuMs - before.cpuMs, result };
    },
    stop: () => server.stop(),
  };
}
