// What the boot needs of machine and network, as functions. `machine.ts` has the real ones, tests
// have others.

import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Clock } from '#shared/clock.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { Identity, SourceIdentity } from '#shared/schema/identity.ts';
import type { InstallReport } from '#shared/schema/install-report.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { Exec } from '../drivers/exec.ts';
import type { Mounts } from '../drivers/mounts.ts';
import type { Address } from '../drivers/network-addresses.ts';
import type { RunPaths } from '../handover.ts';
import type { Discovered } from '../identity/discover.ts';
import type { Enrolled } from '../identity/ensure-enrolled.ts';
import type {
  InstalledDisk,
  InstallOutcome,
  InstallPorts,
  InstallRequest,
} from '../install/ports.ts';
import type { DesiredDocument } from '../link/desired.ts';
import type { SettingsFile } from '../reconcile/settings-files.ts';
import type { SlotsAtBoot } from '../slots/at-boot.ts';
import type { BootSlot } from '../slots/boot-slot.ts';
import type { FetchDeps } from '../slots/fetch-image.ts';
import type { Slots } from '../slots/slots.ts';
import type { Store } from '../store/store.ts';
import type { BootLog } from './boot-log.ts';
import type { PlannedNetwork } from './boot-network.ts';
import type { DataDisk } from './data-disk.ts';

/** Requests with the node's certificate. */
export interface Uplink {
  fetchDesired(signal: AbortSignal): Promise<DesiredDocument>;
  /** `signal` ends all requests of the source. */
  sourceFor(ref: Pick<ModuleRef, 'repository'>, signal: AbortSignal): ArtifactSource;
  reportInstall(report: InstallReport, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface BootPorts {
  readonly clock: Clock;
  /** [0, 1) */
  readonly random: () => number;
  readonly log: BootLog;
  readonly paths: RunPaths;
  /** Where the new root is mounted: /sysroot. */
  readonly sysroot: string;
  readonly mounts: Mounts;
  readonly exec: Exec;
  readonly facts: () => Promise<Facts>;
  readonly bootId: () => Promise<string>;
  readonly trustPolicy: () => Promise<TrustPolicy>;
  readonly networkUp: (signal: AbortSignal) => Promise<PlannedNetwork>;
  /** What keeps that network in the system image. */
  readonly networkFiles: (addresses: readonly Address[]) => Promise<SettingsFile[]>;
  /** The slot of a disk that this boot was started from; null for a network or a medium. */
  readonly bootSlot: (signal: AbortSignal) => Promise<BootSlot | null>;
  readonly openDataDisk: (bootDisk: string | null, signal: AbortSignal) => Promise<DataDisk>;
  /** Not mounted any more, and locked; what was in it is for the caller to have copied. */
  readonly closeDataDisk: (signal: AbortSignal) => Promise<void>;
  /** In memory, whatever disks there are. */
  readonly openMemory: (signal: AbortSignal) => Promise<DataDisk>;
  /** What the slots of that disk are; the tries of a good one are given back. */
  readonly slotsAtBoot: (boot: BootSlot) => Promise<SlotsAtBoot>;
  readonly openSlots: (boot: BootSlot, fetch: FetchDeps) => Slots;
  readonly install: (
    request: Omit<InstallRequest, 'dryRun' | 'imageName' | 'floor'>,
    releaseData: NonNullable<InstallPorts['releaseData']>,
    signal: AbortSignal,
  ) => Promise<InstallOutcome>;
  /** That disk is what the firmware starts next. False where it was for `reason` before, or cannot be. */
  readonly startDiskNext: (on: InstalledDisk, reason: string) => Promise<boolean>;
  /** Returns once the restart has begun. */
  readonly restart: (signal: AbortSignal) => Promise<void>;
  /** `network` resolves once there is one: only some sources need it. */
  readonly discoverIdentity: (
    signal: AbortSignal,
    network: () => Promise<void>,
  ) => Promise<Discovered>;
  /** With the instance that an earlier boot enrolled as, where the source names none. */
  readonly recallInstance: (source: SourceIdentity) => Promise<SourceIdentity>;
  /** Of an earlier boot whose key survives. */
  readonly keptIdentity: () => Promise<Identity | null>;
  readonly ensureEnrolled: (
    source: SourceIdentity,
    facts: Facts,
    signal: AbortSignal,
  ) => Promise<Enrolled>;
  readonly openUplink: (enrolled: Enrolled) => Uplink;
  readonly openStore: (dir: string) => Promise<Store>;
}
