// What a runbook of a template is made from.

import { z } from 'zod';
import { ResourceName } from '../schema/ids.ts';
import { RunbookFacts } from '../schema/runbook.ts';
import { none } from './common.ts';
import type { Route } from './route.ts';

export const getRunbookFacts = {
  method: 'GET',
  path: '/v1/templates/{name}/runbook',
  caller: 'viewer',
  summary: 'Show all that a runbook of a template is made from',
  params: z.strictObject({ name: ResourceName }),
  query: none,
  body: none,
  reply: RunbookFacts,
} as const satisfies Route;
