// Providers and the machines that they make, as operators see them on the wire. What the coordinator
// remembers of a machine is a record of its own: coordinator/nodes/records.ts.

import { z } from 'zod';
import { InstanceId, MacAddress, NodeName } from './ids.ts';

/** manual: a person switches the machine on and off, and nothing here can. */
export const ProviderKind = z.enum(['manual', 'local-qemu', 'libvirt']);
export type ProviderKind = z.infer<typeof ProviderKind>;

/** real: makes machines; recorder: writes down what it would make; disabled: refuses. */
export const ProviderMode = z.enum(['real', 'recorder', 'disabled']);
export type ProviderMode = z.infer<typeof ProviderMode>;

/** Names the one machine of one instance at its provider; recorded before the first call. */
export const OperationKey = z
  .string()
  .regex(/^o-[0-9a-z]{16}$/, 'o- and 16 lower-case letters or digits')
  .brand<'OperationKey'>();
export type OperationKey = z.infer<typeof OperationKey>;

/** A disk that a provider makes with the machine. */
const DiskShape = z.strictObject({
  /** By which the machine knows it; an install plan may select it. */
  serial: z.string().regex(/^[A-Za-z0-9-]{1,20}$/, 'letters, digits and dashes, at most 20'),
  sizeBytes: z
    .int()
    .min(1024 * 1024)
    .max(2 ** 46),
  /** File system label to make on it: `billet-persist` keeps the store between boots. */
  label: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,15}$/)
    .nullable()
    .default(null),
});
export type DiskShape = z.infer<typeof DiskShape>;

/** What is asked of a provider, beside what the node says: its size and how it starts. Strict. */
export const MachineShape = z.strictObject({
  cpuCount: z.int().min(1).max(4096).default(2),
  memoryBytes: z
    .int()
    .min(64 * 1024 * 1024)
    .max(2 ** 46)
    .default(2 * 1024 ** 3),
  disks: z
    .array(DiskShape)
    .max(16)
    .refine((disks) => new Set(disks.map(({ serial }) => serial)).size === disks.length, {
      error: 'a serial stands twice',
    })
    .default([]),
  /** direct: kernel and initramfs from the host; network: from /boot, as a machine of metal would. */
  boot: z.enum(['direct', 'network']).default('direct'),
  /** How a direct boot learns who it is. A network boot has it on the kernel's command line. */
  identity: z.enum(['fw_cfg', 'smbios']).default('fw_cfg'),
});
export type MachineShape = z.infer<typeof MachineShape>;

/** making: begun and not complete; off: there, and not switched on; absent: proven not to be there. */
export const MachineState = z.enum(['making', 'running', 'off', 'absent']);
export type MachineState = z.infer<typeof MachineState>;

/** Why the last call to a provider did not do what was asked. */
export const ProviderFault = z.object({
  code: z.string().max(64),
  message: z.string().max(1024),
  hint: z.string().max(1024),
});
export type ProviderFault = z.infer<typeof ProviderFault>;

/** The machine of an instance, as `billet instance show` prints it. */
export const Machine = z.object({
  operation: OperationKey,
  shape: MachineShape,
  uuid: z.uuid(),
  mac: MacAddress,
  /** As last seen at the provider; null before the first look. */
  state: MachineState.nullable(),
  /** Calls that failed in a row, and the last one's reason. */
  attempts: z.int().nonnegative(),
  fault: ProviderFault.nullable(),
});
export type Machine = z.infer<typeof Machine>;

export const Provider = z.object({
  name: ProviderKind,
  mode: ProviderMode,
  /** Most machines at a time; null without a limit of ours. */
  machinesMax: z.int().positive().nullable(),
  /** Machines of live instances. */
  machines: z.int().nonnegative(),
  /** Why it cannot be used now; null when it can. */
  fault: ProviderFault.nullable(),
});
export type Provider = z.infer<typeof Provider>;

/** What stands on one side only: a machine that no live instance has, or the reverse. */
export const Leftover = z.object({
  provider: ProviderKind,
  operation: OperationKey,
  /** machine: nobody's machine is there; instance: the machine of a live instance is not. */
  kind: z.enum(['machine', 'instance']),
  instance: InstanceId.nullable(),
  node: NodeName.nullable(),
  state: MachineState,
  text: z.string().max(1024),
  hint: z.string().max(1024),
});
export type Leftover = z.infer<typeof Leftover>;
