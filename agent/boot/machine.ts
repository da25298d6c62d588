// The real machine behind the ports of a boot. Wires; decides nothing.

import { readFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { loadPolicy } from '../config.ts';
import { bootConsole } from '../drivers/console.ts';
import { hostExec } from '../drivers/exec.ts';
import { linuxHost } from '../drivers/host.ts';
import { loopDevices } from '../drivers/loop-device.ts';
import { hostMounts } from '../drivers/mounts.ts';
import { networkUp } from '../drivers/network.ts';
import { keepLeases } from '../drivers/network-renew.ts';
import { askNtp } from '../drivers/network-time.ts';
import { type NetworkDeps, wiredLinks } from '../drivers/network-tools.ts';
import { imageBuiltAt, kernelBuiltAt, setWallClock } from '../drivers/wall-clock.ts';
import { RUN_DIR, runPaths } from '../handover.ts';
import { claimFields, type ShownClaim } from '../identity/claim.ts';
import { discoverIdentity } from '../identity/discover.ts';
import {
  ensureEnrolled,
  keptCredentials,
  keptIdentity,
  recallInstance,
} from '../identity/ensure-enrolled.ts';
import { type MetadataUrls, standardStrategies } from '../identity/strategies.ts';
import { coordinatorTime } from '../link/coordinator-time.ts';
import { openStore } from '../store/open-store.ts';
import { bootClock } from './boot-clock.ts';
import { bootLog } from './boot-log.ts';
import { bootNetwork } from './boot-network.ts';
import { diskPorts } from './disk-ports.ts';
import type { BootPorts } from './ports.ts';
import { openUplink } from './uplink.ts';

export interface MachineOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** As uname(2) says. */
  readonly architecture: string;
  readonly metadata: MetadataUrls;
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
  const log = bootLog({ say: bootConsole(), uptimeSeconds, path: paths.markers });
  const onClaim = (shown: ShownClaim) => log.marker('claim', claimFields(shown));
  const netDeps: NetworkDeps = {
    ...{ exec: hostExec, clock },
    warn: (error) => log.failure('network-up', error),
  };
  let leases = new AbortController();
  const network = bootNetwork({
    log,
    commandLine: () => readFile('/proc/cmdline', 'utf8'),
    up: (plan, signal) => networkUp(netDeps, plan, signal),
    keep() {
      leases.abort();
      leases = new AbortController();
      void keepLeases(netDeps, leases.signal);
    },
    wired: () => wiredLinks(netDeps),
  });
  const setClock = bootClock({
    clock,
    log,
    setClock: (unixMs, signal) => setWallClock(hostExec, unixMs, signal),
    // A clock that stands before either is behind.
    builtAt: async () => Math.max((await kernelBuiltAt()) ?? 0, (await imageBuiltAt()) ?? 0),
    kept: () => keptCredentials(paths.state),
    ask: coordinatorTime,
    async ntp(refuses, signal) {
      const servers = network.timeServers();
      return servers.length === 0 ? null : await askNtp(servers, { clock, refuses }, signal);
    },
  });
  return {
    clock,
    random,
    paths,
    mounts,
    sysroot: SYSROOT,
    exec: hostExec,
    log,
    facts: () => host.facts(),
    bootId: () => host.bootId(),
    trustPolicy: () => loadPolicy(TRUST_POLICY),
    networkUp: (signal) => network.up(signal),
    networkFiles: (addresses) => network.systemFiles(addresses),
    ...diskPorts({ clock, log, paths, mounts, exec: hostExec, memoryBytes }),
    discoverIdentity: (signal, network) =>
      discoverIdentity(standardStrategies({ urls: options.metadata, network }), signal),
    recallInstance: (source) => recallInstance(source, paths.state),
    keptIdentity: () => keptIdentity(paths.state),
    async ensureEnrolled(identity, facts, signal) {
      await setClock(identity, signal);
      return await ensureEnrolled({ identity, facts, dir: paths.state, clock, onClaim }, signal);
    },
    openUplink: (enrolled) => openUplink(enrolled, { stateDir: paths.state, clock, random }),
    openStore: (dir) => openStore({ dir, mounts, attachLoop }),
  };
}

/** Since the kernel started. */
function uptimeSeconds(): number {
  return Number.parseFloat(readFileSync('/proc/uptime', 'utf8'));
}
