// What a boot image says of itself, baked into its initramfs as /etc/billet/image.json by whoever builds
// it. What verifies the boot image vouches for it. Strict: an image with a field that nobody knows is not ours.

import { z } from 'zod';
import { Identity } from './identity.ts';
import { Timestamp } from './ids.ts';
import { ModuleName } from './module.ts';

/** Where a boot image has it. */
export const BOOT_IMAGE_INFO_PATH = '/etc/billet/image.json';

export const BootImageInfo = z
  .strictObject({
    format: z.literal(1),
    /** What the rules of a trust policy call it, as they name modules. */
    name: ModuleName,
    /** Grows with each release: older ones are not written to a boot slot. */
    sequence: z.int().nonnegative(),
    /** For people (semver.org 2.0.0). */
    version: z
      .string()
      .regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/)
      .max(128),
    /** No clock of a machine that boots it is behind this. */
    builtAt: Timestamp,
    /** Base URL, for machines that are told nothing else. */
    coordinator: Identity.shape.coordinator.optional(),
    ca: Identity.shape.ca.optional(),
  })
  .refine(({ coordinator, ca }) => (coordinator === undefined) === (ca === undefined), {
    message: 'coordinator and ca go together: an address that nobody can prove is none',
    path: ['ca'],
  });
export type BootImageInfo = z.infer<typeof BootImageInfo>;
