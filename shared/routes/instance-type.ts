// Instance types as operators work with them. Only names; what each row is, says resource.ts.

import { InstanceType, InstanceTypeSpec } from '../schema/instance-type.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createInstanceType,
  list: listInstanceTypes,
  get: getInstanceType,
  put: putInstanceType,
  remove: deleteInstanceType,
} = resourceRoutes({
  path: 'instance-types',
  one: 'an instance type',
  many: 'instance types',
  spec: InstanceTypeSpec,
  record: InstanceType,
});
