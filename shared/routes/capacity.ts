// What providers, regions and pools can still take.

import { Capacity } from '../schema/capacity.ts';
import { none } from './common.ts';
import type { Route } from './route.ts';

export const getCapacity = {
  method: 'GET',
  path: '/v1/capacity',
  caller: 'viewer',
  summary: 'Show what providers, regions and pools can still take, and how the fleet stands',
  params: none,
  query: none,
  body: none,
  reply: Capacity,
} as const satisfies Route;
