// An install plan: which profile goes onto which disk. Data; who installs matches it to real disks.

import { z } from 'zod';
import { ResourceName } from './ids.ts';

const text = z.string().min(1).max(256);

/**
 * A disk by what stays the same between boots. Everything that is given has to hold, and exactly one
 * disk may match. Kernel names (sda, vda) move from boot to boot and are not among them.
 */
const DiskSelector = z
  .strictObject({
    /** A link under /dev/disk/by-id/, without the directory. */
    byId: text.regex(/^[A-Za-z0-9._:+=@-]+$/, 'the name under /dev/disk/by-id/').optional(),
    serial: text.optional(),
    wwn: text.optional(),
    model: text.optional(),
    sizeBytesMin: z.int().positive().optional(),
    sizeBytesMax: z.int().positive().optional(),
    rotational: z.boolean().optional(),
  })
  .refine((selector) => Object.keys(selector).length > 0, 'a selector says something of the disk')
  .refine(
    ({ sizeBytesMin: least = 0, sizeBytesMax: most = Number.MAX_SAFE_INTEGER }) => least <= most,
    'sizeBytesMin is above sizeBytesMax',
  );
export type DiskSelector = z.infer<typeof DiskSelector>;

/**
 * What is on a disk, as the node names it when it refuses to overwrite it: a digest over the disk's own
 * names, its size and the signatures found on it, so that it permits the loss of that content and of no
 * other.
 */
export const WipeId = z.string().regex(/^wipe-[0-9a-f]{16}$/, 'wipe- and 16 hexadecimal digits');
export type WipeId = z.infer<typeof WipeId>;

export const InstallPlan = z.strictObject({
  /** The layout to install: a profile that the boot image brings. */
  profile: ResourceName,
  disk: DiskSelector,
  /** The content that may be lost. Null: only an empty disk is written to. */
  wipeId: WipeId.nullable().default(null),
  /**
   * For a profile that encrypts: the operator's public key (X25519, SPKI in PEM), to which the node seals
   * the recovery key of its disk. Nobody else can read it, the coordinator included.
   */
  recoveryRecipient: z
    .string()
    .max(1024)
    .regex(
      /^\s*-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----\s*$/,
      'PEM (SPKI)',
    )
    .nullable()
    .default(null),
});
export type InstallPlan = z.infer<typeof InstallPlan>;

/** One event installs once: a machine that has it done goes on to its disk. */
export const InstallEventId = z.string().regex(/^ie-[0-9a-z]{16}$/, 'ie- and 16 characters');
export type InstallEventId = z.infer<typeof InstallEventId>;

/**
 * Part of the desired state of an instance that boots from a disk of its own. The plan is strict for nodes,
 * too: a word that says which disk is meant, and is not understood, must not be ignored.
 */
export const InstallOrder = z.object({ event: InstallEventId, plan: InstallPlan });
export type InstallOrder = z.infer<typeof InstallOrder>;
