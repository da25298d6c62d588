// The object store on disk: puts pulling, verifying, composing and mounting together. How each is
// done stands in the files beside this one.

import { closeSync, openSync, rmSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { composeImage } from '#shared/artifact/composefs/image.ts';
import { mergeModules } from '#shared/artifact/composefs/merge.ts';
import { BilletError } from '#shared/errors.ts';
import { diskError } from '../drivers/disk-error.ts';
import { removeDrafts } from '../drivers/files.ts';
import { openLibc } from '../drivers/libc.ts';
import { type AttachLoop, loopDevices } from '../drivers/loop-device.ts';
import { hostMounts, type Mounts } from '../drivers/mounts.ts';
import { syncFilesystem } from '../drivers/sync.ts';
import { fileVerity, type Verity } from '../drivers/verity.ts';
import { collect } from './collect.ts';
import { VERITY_UNAVAILABLE } from './conditions.ts';
import type { Roots } from './gc.ts';
import { imageFiles } from './images.ts';
import { assertKernelModules } from './kernel-modules.ts';
import { OBJECT_PREFIXES, type StorePaths, storePaths } from './layout.ts';
import { ensureModule, holdsModule, loadModule } from './load-module.ts';
import { moduleFiles } from './module-file.ts';
import { mountComposefs } from './mount-image.ts';
import { pullWithRoom } from './pull-with-room.ts';
import { roomIn } from './room.ts';
import { sharedOrAlone } from './shared-or-alone.ts';
import type { Store, SystemImage } from './store.ts';
import { objectThreads } from './threads.ts';

export interface StoreOptions {
  /** Made if it is not there. One process at a time. */
  readonly dir: string;
  /** That write and seal. */
  readonly threads?: number;
  readonly mounts?: Mounts;
  readonly attachLoop?: AttachLoop;
}

const THREADS = 2;

/** Removes what an earlier process left half done. Throws STORE_FAILED or STORE_FULL. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { dir, mounts = hostMounts(), attachLoop = loopDevices() } = options;
  const libc = openLibc();
  const paths = storePaths(dir);
  await prepare(paths);
  const verity = probeVerity(paths, fileVerity(libc));
  const threads = objectThreads({ dir, verity: verity !== null }, options.threads ?? THREADS);
  const images = imageFiles(paths, verity);
  const modules = moduleFiles(paths);
  const lock = sharedOrAlone();
  const conditions = verity === null ? [VERITY_UNAVAILABLE] : [];

  /** Everything written so far is on the disk after this: one call for thousands of objects. */
  const flush = () => syncFilesystem(dir, libc);

  const deps = { threads, images, modules, flush };
  const collected = (roots: Roots) => collect({ paths, modules, images, threads }, roots);
  const withRoom = pullWithRoom({
    lock,
    room: () => roomIn(dir),
    sweep: async () => collected({ modules: await modules.list(), images: await images.list() }),
  });
  return {
    dir,
    verity: verity !== null,
    conditions,
    modules: () => modules.list(),
    ensureModule: (ref, request) =>
      withRoom({
        manifest: ref.manifest,
        load: () => loadModule(deps, ref, request),
        pull: () => ensureModule(deps, ref, request),
      }),
    loadModule: (ref, trust) => lock.shared(() => loadModule(deps, ref, trust)),
    holdsModule: (ref, trust, options) => lock.shared(() => holdsModule(deps, ref, trust, options)),
    composeSystem: (merged, kernelRelease) =>
      lock.shared(async (): Promise<SystemImage> => {
        const tree = mergeModules(
          merged.map(({ label: { name, priority, replaces }, tree: own }) => ({
            name,
            priority,
            replaces,
            tree: own,
          })),
        );
        if (kernelRelease !== null) assertKernelModules(tree, kernelRelease);
        const image = composeImage(tree);
        await images.write(image);
        return { digest: image.digest, tree };
      }),
    mountImage: (digest, target) =>
      lock.shared(async () => {
        await images.assertWhole(digest);
        await mountComposefs(
          { mounts, attachLoop, paths, verity: verity !== null },
          digest,
          target,
        );
        return {
          verity: verity !== null,
          conditions,
          unmount: () => mounts.unmount(target, { detach: true }),
        };
      }),
    collect: (roots) => lock.alone(() => collected(roots)),
    close: () => lock.alone(() => threads.close()),
  };
}

async function prepare(paths: StorePaths): Promise<void> {
  try {
    for (const path of [paths.dir, paths.objects, paths.images, paths.modules, paths.temporary])
      await mkdir(path, { recursive: true, mode: 0o755 });
    await Promise.all(
      OBJECT_PREFIXES.map((prefix) => mkdir(join(paths.objects, prefix), { recursive: true })),
    );
    await removeDrafts(paths.modules);
    for (const name of await readdir(paths.temporary))
      await rm(join(paths.temporary, name), { recursive: true, force: true });
  } catch (error) {
    throw diskError(error, `open the store in ${paths.dir}`);
  }
}

/** Asked of the file system itself: kernel, mount and features all have a say. */
function probeVerity(paths: StorePaths, verity: Verity): Verity | null {
  const path = join(paths.temporary, 'probe');
  closeSync(openSync(path, 'wx', 0o600));
  const fd = openSync(path, 'r');
  try {
    verity.enable(fd);
    return verity;
  } catch (error) {
    if (error instanceof BilletError && error.code === 'UNSUPPORTED') return null;
    throw error;
  } finally {
    closeSync(fd);
    rmSync(path, { force: true });
  }
}
