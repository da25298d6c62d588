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

export const InstallPlan = z.strictObject({
  /** The layout to install. */
  profile: ResourceName,
  disk: DiskSelector,
});
export type InstallPlan = z.infer<typeof InstallPlan>;
