// Templates as operators work with them. Only names; what each row is, says resource.ts.

import { Template, TemplateSpec } from '../schema/template.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createTemplate,
  list: listTemplates,
  get: getTemplate,
  put: putTemplate,
  remove: deleteTemplate,
} = resourceRoutes({
  path: 'templates',
  one: 'a template',
  many: 'templates',
  spec: TemplateSpec,
  record: Template,
});
