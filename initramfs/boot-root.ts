// The parts that a boot image is made of: kernel, its modules, busybox, tools and Node, from Debian.

import { chmod, copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { execOrThrow, hostExec } from '../agent/drivers/exec.ts';
import { nodeBinary, nodeVersion } from './agent-bundle.ts';
import { type BuildContext, cached } from './cache.ts';
import { bootstrap, describeBootstrap } from './debian/bootstrap.ts';

const PACKAGES = [
  'linux-image-amd64',
  'busybox-static',
  'kmod',
  'e2fsprogs',
  'libatomic1',
  'libstdc++6',
  'libgcc-s1',
];

export interface BootRoot {
  /** The unpacked Debian packages. */
  readonly dir: string;
  /** bzImage. */
  readonly kernel: string;
  /** uname -r. */
  readonly release: string;
  /** Node without symbols. */
  readonly node: string;
}

/** Built once for each list of packages and version of Node. */
export async function bootRoot(context: BuildContext): Promise<BootRoot> {
  const recipe = { variant: 'extract', packages: PACKAGES } as const;
  const dir = await cached(
    context,
    'boot-root',
    { recipe: describeBootstrap(recipe), node: await nodeVersion() },
    async (draft) => {
      await bootstrap({ ...recipe, target: join(draft, 'root') }, draft, context.signal);
      await execOrThrow(
        hostExec,
        ['depmod', '-b', join(draft, 'root/usr'), await releaseIn(join(draft, 'root'))],
        context.signal,
        'install kmod',
      );
      await execOrThrow(
        hostExec,
        ['strip', '--strip-all', '-o', join(draft, 'node'), nodeBinary()],
        context.signal,
        'install binutils',
      );
      await chmod(join(draft, 'node'), 0o755);
    },
  );
  const root = join(dir, 'root');
  const release = await releaseIn(root);
  return {
    dir: root,
    release,
    kernel: join(root, 'boot', `vmlinuz-${release}`),
    node: join(dir, 'node'),
  };
}

async function releaseIn(root: string): Promise<string> {
  const releases = await readdir(join(root, 'usr/lib/modules'));
  if (releases.length === 1 && releases[0] !== undefined) return releases[0];
  throw new BilletError(
    'UNSUPPORTED',
    `expected one kernel in ${root}, found ${releases.join(', ') || 'none'}`,
    {
      hint: 'empty the build cache and build again',
    },
  );
}

/**
 * The chosen modules, unpacked (the image is compressed as a whole), with an index of their own, as
 * content by their path below /usr/lib/modules/<release>.
 */
export async function kernelModuleFiles(
  { dir, release }: BootRoot,
  chosen: readonly string[],
  workDir: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const source = join(dir, 'usr/lib/modules', release);
  const base = join(workDir, 'modules');
  const target = join(base, 'lib/modules', release);
  const compressed: string[] = [];
  for (const path of chosen) {
    await mkdir(join(target, dirname(path)), { recursive: true });
    await copyFile(join(source, path), join(target, path));
    if (path.endsWith('.xz')) compressed.push(join(target, path));
  }
  if (compressed.length > 0)
    await execOrThrow(hostExec, ['xz', '-d', '--', ...compressed], signal, 'install xz-utils');
  for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'])
    await copyFile(join(source, name), join(target, name));
  await execOrThrow(hostExec, ['depmod', '-b', base, release], signal, 'install kmod');

  const files = new Map<string, Uint8Array>();
  for (const entry of await readdir(target, { recursive: true, withFileTypes: true }))
    if (entry.isFile() && wanted(entry.name)) {
      const path = join(entry.parentPath, entry.name);
      files.set(path.slice(target.length + 1), await readFile(path));
    }
  await rm(base, { recursive: true, force: true });
  return files;
}

/** modprobe reads the binary indexes; the text ones are for people. */
const wanted = (name: string): boolean =>
  name.endsWith('.ko') || name.endsWith('.bin') || name === 'modules.softdep';

/** Zstandard at its highest ordinary level; the same bytes whatever the number of threads. */
export async function compress(
  content: Uint8Array,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const plain = `${target}.plain`;
  await writeFile(plain, content);
  await execOrThrow(
    hostExec,
    ['zstd', '-19', '-T2', '--quiet', '--force', '-o', target, plain],
    signal,
    'install zstd',
  );
  await rm(plain);
}
