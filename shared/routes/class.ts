// Classes as operators work with them. Only names; what each row is, says resource.ts.

import { ClassSpec, MachineClass } from '../schema/class.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createClass,
  list: listClasses,
  get: getClass,
  put: putClass,
  remove: deleteClass,
} = resourceRoutes({
  path: 'classes',
  one: 'a class',
  many: 'classes',
  spec: ClassSpec,
  record: MachineClass,
});
