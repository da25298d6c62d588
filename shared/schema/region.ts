// A provider region: a place where a provider makes machines.

import { z } from 'zod';
import { ProviderKind } from './provider.ts';
import { Description, resourceOf } from './resource.ts';

export const RegionSpec = z.strictObject({
  description: Description,
  provider: ProviderKind,
  /** The provider's own name of the place; empty where it has only one. */
  zone: z
    .string()
    .regex(/^[\x21-\x7e]*$/, 'printable ASCII without spaces')
    .max(128)
    .default(''),
  /** Most machines at a time, beside what the provider itself allows; null without a limit. */
  machinesMax: z.int().min(0).max(1_000_000).nullable().default(null),
});
export type RegionSpec = z.infer<typeof RegionSpec>;

export const Region = resourceOf(RegionSpec);
export type Region = z.infer<typeof Region>;
