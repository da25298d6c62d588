// Platforms as operators work with them. Only names; what each row is, says resource.ts.

import { Platform, PlatformSpec } from '../schema/platform.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createPlatform,
  list: listPlatforms,
  get: getPlatform,
  put: putPlatform,
  remove: deletePlatform,
} = resourceRoutes({
  path: 'platforms',
  one: 'a platform',
  many: 'platforms',
  spec: PlatformSpec,
  record: Platform,
});
