// What commands say of a publication that they made or changed.

import type { Publication } from '#shared/schema/publication.ts';

export const publicationLines = ({ name, spec, current }: Publication): readonly string[] => [
  `publication ${name} is ${spec.status}${current ? `: nodes of ${spec.platform} boot it` : ''}`,
  ...(spec.status === 'draft' ? [`Next: billet publication publish ${name}`] : []),
];
