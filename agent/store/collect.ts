// Removes from a store what gc.ts says. References go before what they refer to, so that a crash in
// between leaves garbage and never a module without its files.

import { readdir, rm, stat } from 'node:fs/promises';
import { type Digest, hexOf } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { type Roots, unreferenced, unreferencedObjects } from './gc.ts';
import type { Images } from './images.ts';
import { OBJECT_PREFIXES, type StorePaths } from './layout.ts';
import type { ModuleFiles } from './module-file.ts';
import type { Collected } from './store.ts';
import type { ObjectThreads } from './threads.ts';

export interface CollectDeps {
  readonly paths: StorePaths;
  readonly modules: ModuleFiles;
  readonly images: Images;
  readonly threads: ObjectThreads;
}

/**
 * Throws STORE_CORRUPT, having removed no object, when a kept image cannot be read: then nobody knows
 * what it refers to. Nothing may be written to the store meanwhile.
 */
export async function collect(
  { paths, modules, images, threads }: CollectDeps,
  roots: Roots,
): Promise<Collected> {
  const held = new Map<Digest, Digest>();
  for (const manifest of await modules.list()) {
    const file = await modules.load(manifest);
    // One that cannot be read is worth nothing: it goes unless a root names it.
    held.set(manifest, file?.image ?? manifest);
  }
  const present = await images.list();
  const gone = unreferenced({ modules: held, images: present }, roots);

  const kept = present.filter((image) => !gone.images.includes(image));
  const references = await Promise.all(kept.map((image) => referencesOf(image, threads)));
  const objects = unreferencedObjects(await listObjects(paths), references);

  for (const manifest of gone.modules) await modules.remove(manifest);
  for (const image of gone.images) await rm(paths.image(hexOf(image)), { force: true });
  await syncDirectory(paths.images);
  let bytes = 0;
  for (const hex of objects) {
    const path = paths.object(hex);
    bytes += (await stat(path)).size;
    await rm(path, { force: true });
  }
  return {
    modules: gone.modules.length,
    images: gone.images.length,
    objects: objects.length,
    bytes,
  };
}

async function referencesOf(image: Digest, threads: ObjectThreads): Promise<ReadonlySet<string>> {
  const objects = await threads.ask(0, { kind: 'references', image: hexOf(image) });
  if (objects !== null) return new Set(objects);
  throw new BilletError('STORE_CORRUPT', `the image ${image} in the store cannot be read`, {
    hint: 'reboot the node: damaged modules are pulled again, and images composed again',
    details: { image },
  });
}

async function listObjects(paths: StorePaths): Promise<string[]> {
  const found: string[] = [];
  for (const prefix of OBJECT_PREFIXES)
    for (const rest of await readdir(`${paths.objects}/${prefix}`))
      if (/^[0-9a-f]{62}$/.test(rest)) found.push(prefix + rest);
  return found;
}
