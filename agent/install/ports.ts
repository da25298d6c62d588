// What an installation needs of machine and network, as functions, and what comes of it. `machine.ts`
// has the real ones, tests have others.

import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Clock } from '#shared/clock.ts';
import type { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Disk, Facts } from '#shared/schema/facts.ts';
import type { InstallReport } from '#shared/schema/install-report.ts';
import type { ModuleName } from '#shared/schema/module.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { BootLog } from '../boot/boot-log.ts';
import type { ObservedDisk } from '../drivers/disks.ts';
import type { Exec } from '../drivers/exec.ts';
import type { Mounts } from '../drivers/mounts.ts';
import type { GptPartition } from './gpt.ts';
import type { Profile } from './seen.ts';

/** Requests with the node's certificate; a boot's Uplink is one. */
export interface InstallUplink {
  /** POST /v1/node/install. */
  reportInstall(report: InstallReport, signal: AbortSignal): Promise<void>;
  sourceFor(ref: { readonly repository: string }, signal: AbortSignal): ArtifactSource;
}

export interface InstallRequest {
  /** With an install order; without one nothing is done. */
  readonly desired: Desired;
  readonly facts: Facts;
  readonly bootId: string;
  /** Of the running boot image: it says what may be written to a slot. */
  readonly policy: TrustPolicy;
  /** Of boot images: the highest sequence that turned good here. */
  readonly floor?: number;
  /** The running boot image's: another one is not installed. */
  readonly imageName?: ModuleName;
  /** Null: no coordinator; what is installed is found, nothing else. */
  readonly uplink: InstallUplink | null;
  /** This boot is from a disk: no installation begins, and one that is there is told of and ended. */
  readonly fromDisk?: boolean;
  /** Boot word `billet.install=dry-run`: nothing is written. */
  readonly dryRun: boolean;
}

/** Where the parts of an installed system are: device nodes of this boot. */
export interface InstalledDisk {
  readonly disk: Disk;
  readonly esp: string;
  readonly boot: string;
  /** The partition: ext4, or LUKS2 around it. */
  readonly persist: string;
}

export type InstallOutcome =
  /** No install order, or no disk to look at without a coordinator. */
  | { readonly kind: 'none' }
  /** Done by this call: restart, and the firmware starts it from the disk. */
  | { readonly kind: 'installed'; readonly on: InstalledDisk }
  /** An earlier boot has done this event: go on from the disk. */
  | { readonly kind: 'present'; readonly on: InstalledDisk }
  /** A dry run: it would install so. Wait, and ask for the desired state again. */
  | { readonly kind: 'planned'; readonly disk: Disk }
  /** Shown and reported already: wait, ask for the desired state again, and call again. */
  | { readonly kind: 'refused' | 'failed'; readonly problem: BilletError };

/** LUKS2 on the persist partition (agent/drivers/luks.ts). */
export interface DiskVault {
  /**
   * Makes LUKS2 over the partition: a keyslot bound to the TPM (PCR 7), one for a recovery key. Returns
   * the recovery key sealed to `recipient` (PEM), base64. What was in it is gone.
   */
  seal(partition: string, recipient: string, signal: AbortSignal): Promise<string>;
  /** The device with the content, unlocked by the TPM. Opened already is fine. */
  unlock(partition: string, signal: AbortSignal): Promise<string>;
  lock(partition: string, signal: AbortSignal): Promise<void>;
}

/** What the firmware starts, in its order (UEFI 2.10 §3.3, Boot#### and BootOrder). */
export interface FirmwareEntries {
  /** Makes the entry, or finds it, and puts it first. Throws INSTALL_STEP_FAILED. */
  startFirst(entry: FirmwareEntry): Promise<void>;
}

export interface FirmwareEntry {
  readonly description: string;
  /** With backslashes, on the partition. */
  readonly path: string;
  readonly partition: GptPartition;
  readonly sectorBytes: number;
}

export interface InstallPorts {
  readonly clock: Clock;
  readonly log: BootLog;
  readonly exec: Exec;
  readonly mounts: Mounts;
  /** key.pem, enrollment.json, desired.json …: what `state` copies to the disk. */
  readonly stateDir: string;
  /** Where persist is mounted, if this boot found one: the data directory. */
  readonly dataDir: string;
  /** For mounts of the installation's own. */
  readonly workDir: string;
  /** File system type of ESP and boot partition, for mount(2): vfat. */
  readonly espType: string;
  readonly observeDisks: () => Promise<ObservedDisk[]>;
  readonly profiles: () => Promise<Profile[]>;
  /** Of a device-mapper device such as dm-0; null for others. */
  readonly mappingName: (device: string) => Promise<string | null>;
  readonly firmware: FirmwareEntries;
  readonly vault: DiskVault | null;
  /**
   * Moves state and data of this boot into memory, so that the disk that it came from can be written.
   * Null where that cannot be.
   */
  readonly releaseData: ((signal: AbortSignal) => Promise<void>) | null;
}
