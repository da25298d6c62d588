// What an installation needs of machine and network, as functions, and what comes of it. `machine.ts`
// has the real ones, tests have others.

import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import type { Clock } from '#shared/clock.ts';
import type { BilletError } from '#shared/errors.ts';
import type { Desired } from '#shared/schema/desired.ts';
import type { Disk, Facts } from '#shared/schema/facts.ts';
import type { InstallReport } from '#shared/schema/install-report.ts';
import type { TrustPolicy } from '#shared/schema/trust-policy.ts';
import type { BootLog } from '../boot/boot-log.ts';

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
  /** Null: no coordinator; what is installed is found, nothing else. */
  readonly uplink: InstallUplink | null;
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

export interface InstallPorts {
  readonly clock: Clock;
  readonly log: BootLog;
  /** key.pem, enrollment.json, desired.json …: what `state` copies to the disk. */
  readonly stateDir: string;
  /** Where persist is mounted, if this boot found one: the data directory. */
  readonly dataDir: string;
  readonly vault: DiskVault | null;
}
