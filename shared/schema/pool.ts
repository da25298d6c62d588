// A pool: nodes of one class, and instances that are kept warm for them.

import { z } from 'zod';
import { PLACEMENT } from './class.ts';
import { ResourceName } from './ids.ts';
import { Description, resourceOf } from './resource.ts';

export const PoolSpec = z.strictObject({
  description: Description,
  class: ResourceName,
  ...PLACEMENT,
  /** How many instances are kept ready without a node; as many as one bulk call makes. */
  warm: z.int().min(0).max(50).default(0),
});
export type PoolSpec = z.infer<typeof PoolSpec>;

export const Pool = resourceOf(PoolSpec);
export type Pool = z.infer<typeof Pool>;
