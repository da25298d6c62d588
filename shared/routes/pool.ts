// Pools as operators work with them. Only names; what each row is, says resource.ts.

import { Pool, PoolSpec } from '../schema/pool.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createPool,
  list: listPools,
  get: getPool,
  put: putPool,
  remove: deletePool,
} = resourceRoutes({
  path: 'pools',
  one: 'a pool',
  many: 'pools',
  spec: PoolSpec,
  record: Pool,
});
