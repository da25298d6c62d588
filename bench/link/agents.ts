// A fleet, its coordinator and its agents, each in a process of its own. Starts and ends them.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchContext } from '../bench.ts';
import type { PaceResult, Range } from './agents-process.ts';
import { type ServerProcess, startBareServer, startCoordinatorProcess } from './coordinator.ts';
import { type Process, startProcess } from './drivers/process.ts';
import { makeFleet } from './fleet.ts';

/** What the processes of agents do; all at once where there are several. */
export interface Agents {
  connect(range: Range): Promise<void>;
  flood(count: number): Promise<void>;
  pace(perSecond: number, seconds: number): Promise<PaceResult>;
  disconnect(): Promise<void>;
  handshake(load: Range & { readonly count: number; readonly width: number }): Promise<void>;
  enroll(load: Range & { readonly width: number }): Promise<void>;
  renew(load: Range & { readonly times: number }): Promise<void>;
}

export interface Bed {
  readonly coordinator: ServerProcess;
  readonly agents: Agents;
  /** The same agents before the bare server. At its end the server and its agents are gone. */
  withBareServer<T>(work: (bed: Pick<Bed, 'agents' | 'coordinator'>) => Promise<T>): Promise<T>;
}

const PROGRAM = new URL('./agents-process.ts', import.meta.url).href;

/** Everything that was started has ended when it settles. */
export async function withFleet<T>(
  context: BenchContext,
  size: { readonly enrolled: number; readonly new: number },
  work: (bed: Bed) => Promise<T>,
): Promise<T> {
  const { dir, signal, progress } = context;
  progress(`making a fleet of ${size.enrolled + size.new} nodes …`);
  const fleet = await makeFleet(context, size);
  const path = join(dir, 'fleet.json');
  await writeFile(path, JSON.stringify(fleet), { mode: 0o600 });
  const { stateDir } = fleet;

  async function withServer<R>(
    server: ServerProcess,
    use: (bed: Pick<Bed, 'agents' | 'coordinator'>) => Promise<R>,
  ): Promise<R> {
    let clients: Process | null = null;
    try {
      clients = startProcess({ program: PROGRAM, args: [path, server.url], signal });
      return await use({ coordinator: server, agents: agentsOf(clients) });
    } finally {
      // A coordinator with open channels waits for them to say goodbye.
      await clients?.stop();
      await server.stop();
    }
  }

  const withBareServer: Bed['withBareServer'] = async (use) =>
    withServer(await startBareServer(stateDir, signal), use);
  return withServer(await startCoordinatorProcess(stateDir, signal), (bed) =>
    work({ ...bed, withBareServer }),
  );
}

function agentsOf({ ask }: Process): Agents {
  const done = async (what: string, input?: unknown): Promise<void> => {
    await ask(what, input);
  };
  return {
    connect: (range) => done('connect', range),
    flood: (count) => done('flood', { count }),
    pace: async (perSecond, seconds) => (await ask('pace', { perSecond, seconds })) as PaceResult,
    disconnect: () => done('disconnect'),
    handshake: (load) => done('handshake', load),
    enroll: (load) => done('enroll', load),
    renew: (load) => done('renew', load),
  };
}
