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
  readonly billet: Billet;
  /** The admin's context, with the address that the host knows. */
  readonly context: string;
  /** URL of the network boot script, in a guest's view. */
  readonly bootUrl: string;
  /** Of the coordinator, in a guest's view. */
  readonly guestUrl: string;
  instance(id: InstanceId): Promise<Instance>;
}

/** Its coordinator is part of this process. */
export interface LocalFleet extends Fleet {
  readonly coordinator: Coordinator;
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
  /** Of the host's loopback, where guests reach the coordinator; its own port without it. */
  readonly guestPort?: number;
}

export function fleetConfig(options: FleetOptions) {
  const { stateDir, httpsPort, httpPort, guestPort = httpsPort } = options;
  return {
    stateDir,
    listen: `127.0.0.1:${httpsPort}`,
    bootListen: `127.0.0.1:${httpPort}`,
    url: `https://${HOST_FOR_GUEST}:${guestPort}`,
    bootUrl: `http://${HOST_FOR_GUEST}:${httpPort}`,
    names: ['127.0.0.1', HOST_FOR_GUEST],
    heartbeatSeconds: options.heartbeatSeconds ?? 5,
    ...(options.providers && { providers: options.providers }),
    ...(options.signals && { signals: options.signals }),
  };
}

/** Starting again over the same directory and ports continues where it was. */
export async function startFleet(options: FleetOptions): Promise<LocalFleet> {
  const { signal } = options;
  const coordinator = await startCoordinator(fleetConfig(options), { signal, log: silentLog });
  const fleet = await operatorOf(options, coordinator.adminContextPath);
  return { ...fleet, coordinator, [Symbol.asyncDispose]: () => coordinator.stop() };
}

/** What a person beside the coordinator has, with the context that it wrote as it started. */
export async function operatorOf(
  options: FleetOptions,
  adminContextPath: string,
): Promise<Omit<Fleet, typeof Symbol.asyncDispose>> {
  const { httpsPort, httpPort, signal } = options;
  const context = await hostContext(adminContextPath, httpsPort);
  const billet = billetWith(context, signal);
  return {
    billet,
    context,
    bootUrl: `http://${HOST_FOR_GUEST}:${httpPort}/boot/boot.ipxe`,
    guestUrl: fleetConfig(options).url,
    instance: async (id) => Instance.parse(await billet('instance', 'show', id)),
  };
}

async function hostContext(adminContextPath: string, port: number): Promise<string> {
  const admin = Context.parse(JSON.parse(await readFile(adminContextPath, 'utf8')));
  const path = `${adminContextPath}.host`;
  const context = { ...admin, url: `https://127.0.0.1:${port}` };
  await writeFile(path, `${JSON.stringify(context)}\n`, { mode: 0o600 });
  return path;
}
