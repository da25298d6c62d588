// What the records that operators write have in common: a name, a spec, and who made them. Each kind
// has its spec in a file of its own.

import { z } from 'zod';
import { ResourceName, Timestamp } from './ids.ts';

export const Description = z.string().max(1024).default('');

/** By these people find records again, and programs group them. */
export const Labels = z
  .record(z.string().regex(/^[a-z][a-z0-9./-]{0,62}$/), z.string().max(256))
  .default({});

/** A record of a kind, as operators see it. */
export const resourceOf = <S extends z.ZodType>(spec: S) =>
  z.object({
    name: ResourceName,
    spec,
    /** The set of documents whose `billet apply` made it: what `--prune` may delete. */
    set: ResourceName.nullable(),
    createdAt: Timestamp,
    /** For If-Match. */
    revision: z.int().positive(),
  });
