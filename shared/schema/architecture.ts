// An architecture: what a machine's processor runs, under the names that its users have for it.

import { z } from 'zod';
import { Description, resourceOf } from './resource.ts';

export const ArchitectureSpec = z.strictObject({
  description: Description,
  /** As `uname -m` says it, and the facts of a machine. */
  machine: z.enum(['x86_64', 'aarch64', 'riscv64']),
  /** `architecture` of the OCI image-spec (GOARCH): amd64, arm64, riscv64. */
  oci: z.enum(['amd64', 'arm64', 'riscv64']),
  /** Firmware that its machines boot with, the preferred one first. */
  firmware: z
    .array(z.enum(['bios', 'uefi']))
    .min(1)
    .max(2)
    .default(['uefi']),
});
export type ArchitectureSpec = z.infer<typeof ArchitectureSpec>;

export const Architecture = resourceOf(ArchitectureSpec);
export type Architecture = z.infer<typeof Architecture>;
