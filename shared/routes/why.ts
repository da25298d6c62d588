// Why an instance failed, as the coordinator can tell from what it has.

import { z } from 'zod';
import { InstanceId } from '../schema/ids.ts';
import { Why } from '../schema/why.ts';
import { none } from './common.ts';
import type { Route } from './route.ts';

export const explainInstance = {
  method: 'GET',
  path: '/v1/instances/{id}/why',
  caller: 'viewer',
  summary: 'Rank what changed before an instance failed, with its evidence',
  params: z.strictObject({ id: InstanceId }),
  query: z.strictObject({
    /** How far before the failure to look. */
    hours: z.coerce.number().int().min(1).max(720).default(24),
  }),
  body: none,
  reply: Why,
} as const satisfies Route;
