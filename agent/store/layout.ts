// Where things lie in a store directory. Paths only. Digests are 64 hex digits here.

import { join } from 'node:path';

export const objectName = (hex: string): string => `${hex.slice(0, 2)}/${hex.slice(2)}`;

export const storePaths = (dir: string) => ({
  dir,
  objects: join(dir, 'objects'),
  images: join(dir, 'images'),
  modules: join(dir, 'modules'),
  temporary: join(dir, 'tmp'),
  object: (hex: string) => join(dir, 'objects', objectName(hex)),
  image: (hex: string) => join(dir, 'images', hex),
  module: (hex: string) => join(dir, 'modules', hex),
});
export type StorePaths = ReturnType<typeof storePaths>;

/** The 256 directories of objects. */
export const OBJECT_PREFIXES: readonly string[] = Array.from({ length: 256 }, (_, index) =>
  index.toString(16).padStart(2, '0'),
);
