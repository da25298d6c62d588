// A platform: a family of boot images. Which image it is at the moment says its newest publication.

import { z } from 'zod';
import { ResourceName } from './ids.ts';
import { Description, resourceOf } from './resource.ts';

export const PlatformSpec = z.strictObject({
  description: Description,
  architecture: ResourceName,
  /** Words for the kernel of every machine of the platform, before those of the image. */
  commandLine: z
    .string()
    .regex(/^[\x20-\x7e]*$/, 'printable ASCII')
    .max(512)
    .refine((text) => !/(^|\s)billet\./.test(text), 'billet.* is what Billet itself writes')
    .default(''),
});
export type PlatformSpec = z.infer<typeof PlatformSpec>;

export const Platform = resourceOf(PlatformSpec).extend({
  /** The publication that its nodes boot with; null while nothing is published. */
  current: ResourceName.nullable(),
});
export type Platform = z.infer<typeof Platform>;
