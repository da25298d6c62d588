// Architectures as operators work with them. Only names; what each row is, says resource.ts.

import { Architecture, ArchitectureSpec } from '../schema/architecture.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createArchitecture,
  list: listArchitectures,
  get: getArchitecture,
  put: putArchitecture,
  remove: deleteArchitecture,
} = resourceRoutes({
  path: 'architectures',
  one: 'an architecture',
  many: 'architectures',
  spec: ArchitectureSpec,
  record: Architecture,
});
