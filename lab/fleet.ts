// A coordinator with its registry on loopback, filled with the lab's artifacts: real server, store,
// CA and registry in a directory of their own. What runs against it runs as an operator.

import { readFile, writeFile } from 'node:fs/promises';
import type { InstanceId } from '#shared/schema/ids.ts';
import { Instance } from '#shared/schema/records.ts';
import { Context } from '../cli/context.ts';
import type { ConfigInput } from '../coordinator/config.ts';
import { silentLog } from '../coordinator/log.ts';
import { type Coordinator, startCoordinator } from '../coordinator/main.ts';
import { type Billet, billetWith } from './command.ts';

/** QEMU's user network shows the host's loopback to a guest under this address. */
const HOST_FOR_GUEST = '10.0.2.2';

export interface Fleet extends AsyncDisposable {
  readonly coordinator: Coordinator;
  readonly billet: Billet;
  /** The admin's context, with the address that the host knows. */
  readonly context: string;
  /** URL of the network boot script, in a guest's view. */
  readonly bootUrl: string;
  instance(id: InstanceId): Promise<Instance>;
}

export interface FleetOptions {
  readonly stateDir: string;
  readonly httpsPort: number;
  readonly httpPort: number;
  readonly signal: AbortSignal;
  readonly heartbeatSeconds?: number;
  /** Who makes machines by itself; without it, nobody. */
  readonly providers?: ConfigInput['providers'];
  readonly signals?: ConfigInput['signals'];
}

/** Starting again over the same directory and ports continues where it was. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { stateDir, httpsPort, httpPort, signal } = options;
  const config = {
    stateDir,
    listen: `127.0.0.1:${httpsPort}`,
    bootListen: `127.0.0.1:${httpPort}`,
    url: `https://${HOST_FOR_GUEST}:${httpsPort}`,
    bootUrl: `http://${HOST_FOR_GUEST}:${httpPort}`,
    names: ['127.0.0.1', HOST_FOR_GUEST],
    heartbeatSeconds: options.heartbeatSeconds ?? 5,
    ...(options.providers && { providers: options.providers }),
    ...(options.signals && { signals: options.signals }),
  };
  const coordinator = await startCoordinator(config, { signal, log: silentLog });
  const context = await hostContext(coordinator, httpsPort);
  const billet = billetWith(context, signal);
  return {
    coordinator,
    billet,
    context,
    bootUrl: `http://${HOST_FOR_GUEST}:${httpPort}/boot/boot.ipxe`,
    instance: async (id) => Instance.parse(await billet('instance', 'show', id)),
    [Symbol.asyncDispose]: () => coordinator.stop(),
  };
}

async function hostContext(coordinator: Coordinator, port: number): Promise<string> {
  const admin = Context.parse(JSON.parse(await readFile(coordinator.adminContextPath, 'utf8')));
  const path = `${coordinator.adminContextPath}.host`;
  const context = { ...admin, url: `https://127.0.0.1:${port}` };
  await writeFile(path, `${JSON.stringify(context)}\n`, { mode: 0o600 });
  return path;
}
