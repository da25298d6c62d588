// Provider regions as operators work with them. Only names; what each row is, says resource.ts.

import { Region, RegionSpec } from '../schema/region.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createRegion,
  list: listRegions,
  get: getRegion,
  put: putRegion,
  remove: deleteRegion,
} = resourceRoutes({
  path: 'regions',
  one: 'a provider region',
  many: 'provider regions',
  spec: RegionSpec,
  record: Region,
});
