// A Debian trixie machine that Billet did not boot: kernel, an initramfs of its own that only finds the
// root, and a disk with the system. What is the same for every run comes from the cache.

import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BootRoot, buildBootRoot } from '../../initramfs/boot-root.ts';
import { appendArchive } from '../../initramfs/build.ts';
import { resolveModules } from '../../initramfs/kernel-modules.ts';
import { cached, fileDigest } from '../../setup/build/cache.ts';
import { run } from '../../setup/build/drivers/run.ts';
import { cacheDirOf } from '../../shared/build-cache.ts';
import { systemClock } from '../../shared/clock.ts';
import { debianRoot, type RootKind } from './package-fixture.ts';

const ROOT_MIB = 2048;
const DRIVERS = ['virtio_pci', 'virtio_blk', 'ext4'];

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules); do insmod "$module"; done
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 /dev/vda /sysroot
for dir in dev sys proc; do mount -o move "/$dir" "/sysroot/$dir"; done
exec switch_root /sysroot /sbin/init
`;

const NETWORK = '[Match]\nName=en* eth*\n\n[Network]\nDHCP=ipv4\n';

export interface Guest {
  readonly kernel: string;
  readonly initramfs: string;
  /** An ext4 image, without the feature verity: never written to, but copied. */
  readonly root: string;
}

export async function guest(kind: RootKind, signal: AbortSignal): Promise<Guest> {
  const place = { cacheDir: cacheDirOf(process.env), clock: systemClock };
  const progress = (line: string) => process.stderr.write(`# ${line}\n`);
  const boot = await buildBootRoot({ ...place, signal, progress });
  const system = await debianRoot(kind, signal);
  const inputs = { boot: boot.key, system, recipe: await fileDigest(import.meta.filename) };
  const dir = await cached(place, 'package-guest', inputs, async (to) => {
    progress('building the Debian machine');
    await copyFile(join(boot.root, 'boot', `vmlinuz-${boot.kernelRelease}`), join(to, 'kernel'));
    await buildInitramfs(to, boot, signal);
    await buildRoot(to, system, boot, signal);
  });
  return {
    kernel: join(dir, 'kernel'),
    initramfs: join(dir, 'initramfs'),
    root: join(dir, 'root.ext4'),
  };
}

async function buildInitramfs(to: string, boot: BootRoot, signal: AbortSignal): Promise<void> {
  const tree = join(to, 'tree');
  for (const name of ['bin', 'dev', 'proc', 'sys', 'sysroot'])
    await mkdir(join(tree, name), { recursive: true });
  await copyFile(join(boot.root, 'usr/bin/busybox'), join(tree, 'bin/busybox'));
  await writeFile(join(tree, 'init'), INIT);
  await chmod(join(tree, 'init'), 0o755);
  const from = join('usr/lib/modules', boot.kernelRelease);
  const read = (name: string) => readFile(join(boot.root, from, `modules.${name}`), 'utf8');
  const [dep, softdep, alias, builtin] = await Promise.all([
    ...[read('dep'), read('softdep'), read('alias'), read('builtin')],
  ]);
  const paths = resolveModules(DRIVERS, {
    ...{ dep: dep ?? '', softdep: softdep ?? '', alias: alias ?? '', builtin: builtin ?? '' },
  });
  for (const path of paths) {
    await mkdir(dirname(join(tree, from, path)), { recursive: true });
    await copyFile(join(boot.root, from, path), join(tree, from, path));
  }
  await run(['find', tree, '-name', '*.ko.xz', '-exec', 'xz', '-d', '{}', '+'], { signal });
  const plain = new Map(paths.map((path) => [path, `/${from}/${path.replace(/\.xz$/, '')}`]));
  await writeFile(
    join(tree, 'modules'),
    `${inLoadOrder(paths, dep ?? '')
      .map((path) => plain.get(path))
      .join('\n')}\n`,
  );
  await appendArchive(join(to, 'initramfs'), tree, signal);
  await run(['rm', '-r', tree], { signal });
}

/** modules.dep(5) names what a module needs, the last first: load in reverse. */
function inLoadOrder(paths: readonly string[], dep: string): string[] {
  const needs = new Map(
    dep.split('\n').map((line) => {
      const [path = '', rest = ''] = line.split(':');
      return [path, rest.split(' ').filter(Boolean).reverse()] as const;
    }),
  );
  const order = paths.flatMap((path) => [...(needs.get(path) ?? []), path]);
  return [...new Set(order)].filter((path) => paths.includes(path));
}

/** The system with the modules of its kernel, an address by DHCP, and nothing of Billet's. */
async function buildRoot(
  to: string,
  system: string,
  boot: BootRoot,
  signal: AbortSignal,
): Promise<void> {
  const root = join(to, 'root');
  const modules = join('usr/lib/modules', boot.kernelRelease);
  await run(['cp', '-a', system, root], { signal });
  await mkdir(dirname(join(root, modules)), { recursive: true });
  await run(['cp', '-a', join(boot.root, modules), join(root, modules)], { signal });
  await writeFile(join(root, 'etc/systemd/network/80-dhcp.network'), NETWORK);
  await writeFile(join(root, 'etc/hostname'), 'debian\n');
  const wanted = join(root, 'etc/systemd/system/multi-user.target.wants');
  await mkdir(wanted, { recursive: true });
  await symlink(
    '/usr/lib/systemd/system/systemd-networkd.service',
    join(wanted, 'systemd-networkd.service'),
  );
  // Was booted before, so that this boot is no first one (systemd-update-done.service(8)).
  await run(['touch', join(root, 'etc/.updated'), join(root, 'var/.updated')], { signal });
  const image = join(to, 'root.ext4');
  await run(['truncate', '-s', `${ROOT_MIB}M`, image], { signal });
  await run(['mke2fs', '-q', '-t', 'ext4', '-O', '^verity', '-d', root, image], { signal });
  await run(['rm', '-r', root], { signal });
}

/** A disk with a few files, to mount read-only. */
export async function fileDisk(
  image: string,
  files: readonly { readonly name: string; readonly from: string }[],
  signal: AbortSignal,
): Promise<void> {
  const tree = `${image}.tree`;
  await mkdir(tree, { recursive: true });
  for (const { name, from } of files) await copyFile(from, join(tree, name));
  await run(['truncate', '-s', '128M', image], { signal });
  await run(['mke2fs', '-q', '-t', 'ext4', '-d', tree, image], { signal });
}
