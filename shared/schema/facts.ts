// What a machine is made of, as it saw itself when it enrolled. Absent means not readable.

import { z } from 'zod';
import { MacAddress } from './ids.ts';

const text = z.string().max(256);

export const Disk = z.object({
  /** Kernel name, e.g. vda. May change from boot to boot. */
  name: text,
  sizeBytes: z.int().nonnegative(),
  serial: text.optional(),
  wwn: text.optional(),
  model: text.optional(),
  rotational: z.boolean().optional(),
  /** Names under /dev/disk/by-id/, as systemd's udev rules make them. */
  byId: z.array(text).max(16).optional(),
  readOnly: z.boolean().optional(),
  /** A USB stick or the like: it may be what the machine booted from. */
  removable: z.boolean().optional(),
});
export type Disk = z.infer<typeof Disk>;

/** As the metadata service says that this machine is called there. Not proven to anyone. */
export const CloudMachine = z.object({
  provider: z.enum(['ec2', 'gce', 'azure', 'openstack', 'nocloud']),
  /** The provider's name of the machine: an instance id, a UUID, a number. */
  instance: text,
  zone: text.optional(),
});
export type CloudMachine = z.infer<typeof CloudMachine>;

export const Facts = z.object({
  architecture: text,
  kernelRelease: text,
  firmware: z.enum(['bios', 'uefi']),
  /** True only where the firmware says that it verified what it booted. */
  secureBoot: z.boolean(),
  cpuModel: text.optional(),
  cpuCount: z.int().positive(),
  memoryBytes: z.int().positive(),
  /** SMBIOS type 1 to 3 (DSP0134), from /sys/class/dmi/id. */
  dmi: z
    .object({ vendor: text, product: text, serial: text, uuid: text, assetTag: text })
    .partial()
    .default({}),
  cloud: CloudMachine.optional(),
  /** Whether its key outlives a reboot: a billet-persist disk, or a TPM. */
  keySurvives: z.boolean().optional(),
  macs: z.array(MacAddress).max(64),
  disks: z.array(Disk).max(256),
});
export type Facts = z.infer<typeof Facts>;
