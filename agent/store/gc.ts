// What may go from a store: everything that no root leads to. Pure; reads and removes nothing.

import type { Digest } from '#shared/digest.ts';

/** What must stay: modules by manifest digest, images by their own. */
export interface Roots {
  readonly modules: readonly Digest[];
  readonly images: readonly Digest[];
}

export interface Holdings {
  /** Modules by manifest digest, each with its image. */
  readonly modules: ReadonlyMap<Digest, Digest>;
  readonly images: readonly Digest[];
}

/** Modules and images that no root names. An image of a kept module is kept. */
export function unreferenced(
  { modules, images }: Holdings,
  roots: Roots,
): { readonly modules: readonly Digest[]; readonly images: readonly Digest[] } {
  const keptModules = new Set(roots.modules);
  const keptImages = new Set(roots.images);
  for (const [manifest, image] of modules) if (keptModules.has(manifest)) keptImages.add(image);
  return {
    modules: [...modules.keys()].filter((manifest) => !keptModules.has(manifest)),
    images: images.filter((image) => !keptImages.has(image)),
  };
}

/** Objects (64 hex digits) that none of the kept images refers to. */
export function unreferencedObjects(
  objects: readonly string[],
  keptImages: Iterable<ReadonlySet<string>>,
): readonly string[] {
  const kept = new Set<string>();
  for (const image of keptImages) for (const object of image) kept.add(object);
  return objects.filter((object) => !kept.has(object));
}
