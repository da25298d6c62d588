// The coordinator as it is shipped, as a process of its own, so that what it uses is counted apart
// from what its clients use; or the bare server, its yardstick. Loopback.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Held, Used } from './coordinator-preload.ts';
import { startProcess } from './drivers/process.ts';

export interface ServerProcess {
  readonly url: string;
  held(): Promise<Held>;
  /** What the server used while `work` ran. */
  during<T>(work: () => Promise<T>): Promise<Used & { readonly result: T }>;
  stop(): Promise<void>;
}

const PROGRAM = new URL('../../coordinator/main.ts', import.meta.url).href;
const BARE = new URL('./bare-server.ts', import.meta.url).href;
const PRELOAD = fileURLToPath(new URL('./coordinator-preload.ts', import.meta.url));

/** Over a state directory that is there already. */
export function startCoordinatorProcess(
  stateDir: string,
  signal: AbortSignal,
): Promise<ServerProcess> {
  const listen = ['--listen', '127.0.0.1:0', '--boot-listen', 'none'];
  return startServer(PROGRAM, ['--state-dir', stateDir, ...listen], signal);
}

/** With the CA of that state directory. */
export const startBareServer = (stateDir: string, signal: AbortSignal) =>
  startServer(BARE, [join(stateDir, 'ca')], signal);

async function startServer(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<ServerProcess> {
  const nodeArgs = ['--expose-gc', '--import', PRELOAD];
  const server = startProcess({ program, args, nodeArgs, signal });
  const [, url = ''] = await server.line(/serving url=(\S+)/);
  const used = () => server.ask('used') as Promise<Used>;
  return {
    url,
    held: () => server.ask('held') as Promise<Held>,
    async during(work) {
      const before = await used();
      const result = await work();
      const { cpuMs, queuedMs } = await used();
      return { cpuMs: cpuMs - before.cpuMs, queuedMs: queuedMs - before.queuedMs, result };
    },
    stop: () => server.stop(),
  };
}
