// The real machine behind the ports of a boot. Wires; decides nothing.

import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { loadPolicy } from '../config.ts';
import { bootConsole } from '../drivers/console.ts';
import { hostExec } from '../drivers/exec.ts';
import { linuxHost } from '../drivers/host.ts';
import { loopDevices } from '../drivers/loop-device.ts';
import { hostMounts } from '../drivers/mounts.ts';
import { networkUp } from '../drivers/network.ts';
import { RUN_DIR, runPaths } from '../handover.ts';
import { discoverIdentity, standardStrategies } from '../identity/discover.ts';
import { ensureEnrolled } from '../identity/ensure-enrolled.ts';
import { fetchDesired } from '../link/desired.ts';
import { moduleSource } from '../link/module-source.ts';
import { openSession } from '../link/session.ts';
import { openStore } from '../store/open-store.ts';
import { bootLog } from './boot-log.ts';
import { openDataDisk } from './data-disk.ts';
import type { BootPorts } from './ports.ts';

export interface MachineOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** As uname(2) says. */
  readonly architecture: string;
}

const TRUST_POLICY = '/etc/billet/trust-policy.json';
const SYSROOT = '/sysroot';

export async function machinePorts(options: MachineOptions): Promise<BootPorts> {
  const { clock, random, architecture } = options;
  const paths = runPaths(RUN_DIR);
  await mkdir(paths.run, { recursive: true, mode: 0o700 });
  await mkdir(SYSROOT, { recursive: true });
  const mounts = hostMounts();
  const attachLoop = loopDevices();
  const host = linuxHost({ architecture });
  const memoryBytes = async () => (await host.facts()).memoryBytes;
  return {
    clock,
    random,
    paths,
    mounts,
    sysroot: SYSROOT,
    exec: hostExec,
    log: bootLog({ say: bootConsole(), uptimeSeconds, path: paths.markers }),
    facts: () => host.facts(),
    bootId: () => host.bootId(),
    trustPolicy: () => loadPolicy(TRUST_POLICY),
    networkUp: (signal) => networkUp({ exec: hostExec, clock }, signal),
    openDataDisk: (signal) =>
      openDataDisk({ paths, mounts, attachLoop, exec: hostExec, memoryBytes }, signal),
    discoverIdentity: (signal) => discoverIdentity(standardStrategies(), signal),
    ensureEnrolled: (identity, facts, signal) =>
      ensureEnrolled({ identity, facts, dir: paths.state, clock }, signal),
    openUplink: ({ credentials, key }) => {
      const { identity, ca, certificate } = credentials;
      const client = { certificate, key: key.pem };
      const session = openSession({ coordinator: identity.coordinator, ca, client });
      return {
        fetchDesired: async (signal) => {
          const document = await fetchDesired(session.client, null, signal);
          if (document !== null) return document;
          throw new TypeError('304 without If-None-Match');
        },
        sourceFor: moduleSource({ session: () => session, clock, random }),
        close: () => session.close(),
      };
    },
    openStore: (dir) => openStore({ dir, mounts, attachLoop }),
  };
}

/** Since the kernel started. */
function uptimeSeconds(): number {
  return Number.parseFloat(readFileSync('/proc/uptime', 'utf8'));
}
