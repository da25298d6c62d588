// Where an installation comes in a boot: after it is known what this machine should be, before anything of
// that is pulled. A machine that was started from its disk has it behind it, or at most its end before it.

import { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { InstalledDisk } from '../install/ports.ts';
import type { DataDisk } from './data-disk.ts';
import type { BootPorts, Uplink } from './ports.ts';
import type { BootStorage } from './storage.ts';

export interface InstallStage {
  readonly desired: Desired;
  readonly facts: Facts;
  readonly policy: TrustPolicy;
  /** Null: the coordinator is away. */
  readonly uplink: Uplink | null;
  readonly storage: BootStorage;
}

/** again: it waits for another plan, or for another attempt; the desired state is asked for anew. */
export type AfterInstall =
  | { readonly next: 'boot'; readonly on: InstalledDisk | null }
  | { readonly next: 'again' };

const RESTART_MS = 60_000;

/** Does not return where it has installed: the machine restarts, from its disk. */
export async function installFirst(
  ports: BootPorts,
  { desired, facts, policy, uplink, storage }: InstallStage,
  signal: AbortSignal,
): Promise<AfterInstall> {
  const fromDisk = storage.boot !== null;
  if (desired.install === null || (fromDisk && uplink === null)) return { next: 'boot', on: null };
  const request = { desired, facts, policy, uplink, fromDisk, bootId: await ports.bootId() };
  const outcome = await ports.install(request, storage.moveToMemory, signal);
  // A power cut may have come between the last step and the word of it: now the coordinator has it.
  if (fromDisk) return { next: 'boot', on: null };
  switch (outcome.kind) {
    case 'none':
      return { next: 'boot', on: null };
    case 'planned':
    case 'refused':
    case 'failed':
      return { next: 'again' };
    case 'installed':
      return await restartNow(ports, signal);
    case 'present':
      // What this machine keeps lies there, and this boot has other data before it.
      if (!isOn(storage.data, outcome.on))
        await restartFromDisk(ports, outcome.on, desired, signal);
      return { next: 'boot', on: outcome.on };
  }
}

/** Of an installed disk; returns where the firmware was asked before, and started something else. */
export async function restartFromDisk(
  ports: BootPorts,
  on: InstalledDisk,
  { generation, install }: Desired,
  signal: AbortSignal,
): Promise<void> {
  const reason = `${install?.event} ${generation}`;
  if (await ports.startDiskNext(on, reason)) await restartNow(ports, signal);
}

export async function restartNow(ports: BootPorts, signal: AbortSignal): Promise<never> {
  await ports.restart(signal);
  await ports.clock.sleep(RESTART_MS, signal);
  throw new BilletError('TIMEOUT', 'the machine was told to restart, and did not', {
    hint: 'switch it off and on: it starts from its disk',
  });
}

/** A device of the mapper is of the one disk that is encrypted. */
const isOn = ({ kind, device, partition }: DataDisk, { persist }: InstalledDisk): boolean =>
  kind === 'persist' && (partition === persist || device.startsWith('/dev/mapper/'));
