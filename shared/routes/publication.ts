// Disk image publications as operators work with them. Only names; what each row is, says resource.ts.

import { Publication, PublicationSpec } from '../schema/publication.ts';
import { resourceRoutes } from './resource.ts';

export const {
  create: createPublication,
  list: listPublications,
  get: getPublication,
  put: putPublication,
  remove: deletePublication,
} = resourceRoutes({
  path: 'publications',
  one: 'a disk image publication',
  many: 'disk image publications',
  spec: PublicationSpec,
  record: Publication,
});
