// What runs machines whose files are laid out on this host: QEMU itself, libvirt, or a recorder that
// only writes down what it would run. Types only.

import type { OperationKey } from '#shared/schema/provider.ts';

export interface MachinePlan {
  readonly operation: OperationKey;
  /** For people who look at the host. */
  readonly title: string;
  readonly uuid: string;
  readonly mac: string;
  readonly cpuCount: number;
  readonly memoryMib: number;
  /** Of the machine, with everything below in it. */
  readonly dir: string;
  readonly console: string;
  readonly disks: readonly { readonly path: string; readonly serial: string }[];
  readonly start:
    | {
        readonly kind: 'direct';
        readonly kernel: string;
        readonly initramfs: string;
        readonly commandLine: string;
        /** fw_cfg items below opt/, by file. */
        readonly fwCfg: readonly { readonly name: string; readonly path: string }[];
        /** SMBIOS type 11 strings, one a file. */
        readonly oemStringPaths: readonly string[];
      }
    | { readonly kind: 'network'; readonly url: string };
}

export interface Hypervisor {
  /** What it would run, without secrets. */
  describe(plan: MachinePlan): unknown;
  /** Throws why it cannot be used now. */
  check(signal: AbortSignal): Promise<void>;
  /** Resolves when the machine runs; nothing when it does already. */
  start(plan: MachinePlan, signal: AbortSignal): Promise<void>;
  /** Null: it knows no such machine. */
  state(operation: OperationKey, signal: AbortSignal): Promise<'running' | 'off' | null>;
  /** Power off, and forget it. Resolves when `state` is null. */
  stop(operation: OperationKey, signal: AbortSignal): Promise<void>;
  /** Machines that it knows, also such without files. */
  list(signal: AbortSignal): Promise<readonly OperationKey[]>;
}
