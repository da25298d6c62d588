// The network of a boot: as the kernel command line wants it, and where that cannot be followed, by DHCP on
// every link: a machine that nobody can reach for a slip of the pen helps nobody. It says so each time.

import { BilletError } from '#shared/errors.ts';
import type { NetworkUp } from '../drivers/network.ts';
import type { Address } from '../drivers/network-addresses.ts';
import type { WiredLink } from '../drivers/network-tools.ts';
import { cmdlineWords } from '../identity/cmdline.ts';
import type { SettingsFile } from '../reconcile/settings-files.ts';
import type { BootLog } from './boot-log.ts';
import { type NetworkPlan, planNetwork } from './network/plan.ts';
import { networkUnits } from './network/units.ts';
import { networkWords } from './network/words.ts';

export interface BootNetworkPorts {
  readonly log: Pick<BootLog, 'failure'>;
  /** /proc/cmdline */
  readonly commandLine: () => Promise<string>;
  readonly up: (plan: NetworkPlan, signal: AbortSignal) => Promise<NetworkUp>;
  /** Keeps what DHCP gave, for as long as this process runs. Never rejects. */
  readonly keep: () => void;
  readonly wired: () => Promise<readonly WiredLink[]>;
}

/** words: as the command line wants it; default: it wants nothing; fallback: it cannot be followed. */
export type PlanSource = 'words' | 'default' | 'fallback';

export interface PlannedNetwork extends NetworkUp {
  readonly plan: PlanSource;
}

export interface BootNetwork {
  /** Throws LINK_DOWN; never BOOT_NETWORK_INVALID, which is shown, and gone around. */
  up(signal: AbortSignal): Promise<PlannedNetwork>;
  /** Of the network that is up: those of the words before those of DHCP. */
  timeServers(): readonly string[];
  /** Files of systemd-networkd for the system image: what the boot words want goes on there. */
  systemFiles(addresses: readonly Address[]): Promise<SettingsFile[]>;
}

export function bootNetwork(ports: BootNetworkPorts): BootNetwork {
  let timeServers: readonly string[] = [];
  let known: { readonly plan: NetworkPlan; readonly source: PlanSource } | null = null;

  async function planned() {
    const words = cmdlineWords(await ports.commandLine());
    try {
      const plan = planNetwork(networkWords(words));
      return { plan, source: plan.by };
    } catch (error) {
      if (!isInvalid(error)) throw error;
      ports.log.failure('network-up', error);
      return fallback();
    }
  }

  async function follow(signal: AbortSignal): Promise<PlannedNetwork> {
    const { plan, source } = await planned();
    known = { plan, source };
    try {
      return { ...(await ports.up(plan, signal)), plan: source };
    } catch (error) {
      if (!isInvalid(error)) throw error;
      ports.log.failure('network-up', error);
      const other = fallback();
      const network = await ports.up(other.plan, signal);
      known = other;
      return { ...network, plan: other.source };
    }
  }

  return {
    async up(signal) {
      const network = await follow(signal);
      ports.keep();
      timeServers = network.ntp;
      return network;
    },
    timeServers: () => timeServers,
    async systemFiles(addresses) {
      const { plan } = known ?? (await planned());
      return networkUnits({ plan, wired: await ports.wired(), addresses });
    },
  };
}

const isInvalid = (error: unknown): boolean =>
  error instanceof BilletError && error.code === 'BOOT_NETWORK_INVALID';

const fallback = () => ({ plan: planNetwork(networkWords([])), source: 'fallback' as const });
