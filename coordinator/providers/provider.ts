// What a provider is: somebody who makes machines, says how they stand, and takes them away again.
// Types only. A person who switches machines on is no provider: such instances have no machine here.

import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type {
  MachineShape,
  MachineState,
  OperationKey,
  ProviderKind,
  ProviderMode,
} from '#shared/schema/provider.ts';

/** Kernel and initramfs from files of this host, and who the machine is, as its agent reads it. */
export interface DirectStart {
  readonly kind: 'direct';
  readonly kernel: string;
  readonly initramfs: string;
  readonly commandLine: string;
  /** Values by their names in IDENTITY_KEYS. The token among them is a secret. */
  readonly identity: Readonly<Record<string, string>>;
}

/** From the coordinator's /boot, as a machine of metal would. */
export interface NetworkStart {
  readonly kind: 'network';
  /** Of the iPXE script, in the machine's view. */
  readonly url: string;
}

export interface MachineOrder {
  readonly operation: OperationKey;
  readonly instance: InstanceId;
  readonly node: NodeName;
  readonly shape: MachineShape;
  readonly uuid: string;
  readonly mac: string;
  readonly start: DirectStart | NetworkStart;
}

/**
 * Every call may be made again, by another process, while an earlier one still runs: the operation
 * key names one machine. All of them throw PROVIDER_FAILED, PROVIDER_DISABLED, or what a driver does.
 */
export interface Provider {
  readonly name: Exclude<ProviderKind, 'manual'>;
  readonly mode: ProviderMode;
  readonly machinesMax: number | null;
  /** Throws why it cannot be used now. */
  check(signal: AbortSignal): Promise<void>;
  /**
   * Makes the machine and switches it on; nothing when it runs. Never makes a machine whose
   * operation was terminated. PROVIDER_QUOTA.
   */
  provision(order: MachineOrder, signal: AbortSignal): Promise<void>;
  /** `absent` is proof: there is none, and no call under way will make one. */
  status(operation: OperationKey, signal: AbortSignal): Promise<MachineState>;
  /** Destroys the machine with its disks; resolves once `status` says absent. */
  terminate(operation: OperationKey, signal: AbortSignal): Promise<void>;
  /** Every machine of Billet that it has, whoever asked for it. */
  list(signal: AbortSignal): Promise<readonly ListedMachine[]>;
}

export interface ListedMachine {
  readonly operation: OperationKey;
  readonly state: MachineState;
}

export type Providers = ReadonlyMap<ProviderKind, Provider>;
