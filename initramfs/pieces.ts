// What the initramfs holds, as a tree on disk: programs with their libraries, kernel modules, and
// the few files that those read. Picks from a Debian root and changes nothing there.

import { copyFile, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../setup/build/drivers/run.ts';
import { librariesOf } from '../setup/build/libraries.ts';
import { parseModuleList, resolveModules } from './kernel-modules.ts';

/**
 * Debian packages that the initramfs picks from. binutils (strips Node) and liblzma5 (opened by
 * depmod as it runs, to read packed modules) stay outside.
 */
export const BOOT_PACKAGES = [
  ...['linux-image-amd64', 'kmod', 'busybox-static', 'e2fsprogs', 'util-linux', 'libc-bin'],
  ...['libatomic1', 'libgcc-s1', 'libstdc++6', 'binutils', 'liblzma5'],
  // The encrypted data disk, opened by the TPM.
  ...['cryptsetup-bin', 'systemd-cryptsetup', 'libtss2-esys-3.0.2-0t64', 'libtss2-rc0t64'],
  'libtss2-tcti-device0t64',
  // Installation to a disk.
  ...['systemd-repart', 'dosfstools'],
];

const BUSYBOX = '/usr/bin/busybox'; // static
const PROGRAMS = [
  ...['/usr/bin/kmod', '/usr/bin/node', '/usr/sbin/blkid', '/usr/sbin/e2fsck', '/usr/sbin/mke2fs'],
  ...['/usr/sbin/cryptsetup', '/usr/bin/systemd-cryptenroll', '/usr/bin/systemd-repart'],
  ...['/usr/sbin/mkfs.fat', '/usr/sbin/wipefs'],
];
const LIBRARIES = '/usr/lib/x86_64-linux-gnu';
/** Libraries that those open as they run: cryptsetup its token plugin, and that the TPM's stack. */
const OPENED = [
  'cryptsetup/libcryptsetup-token-systemd-tpm2.so',
  ...['libtss2-esys.so.0', 'libtss2-mu.so.0', 'libtss2-rc.so.0', 'libtss2-tcti-device.so.0'],
].map((name) => join(LIBRARIES, name));
const LINKS = {
  ...{ bin: 'usr/bin', sbin: 'usr/sbin', lib: 'usr/lib', lib64: 'usr/lib64' },
  ...{ 'usr/sbin/modprobe': '../bin/kmod', 'usr/sbin/depmod': '../bin/kmod' },
  ...{ 'usr/sbin/insmod': '../bin/kmod', 'usr/sbin/rmmod': '../bin/kmod' },
  ...{ 'usr/bin/lsmod': 'kmod', 'usr/sbin/mkfs.ext4': 'mke2fs', 'usr/sbin/fsck.ext4': 'e2fsck' },
  ...{ 'usr/sbin/mkfs.vfat': 'mkfs.fat', 'etc/resolv.conf': '../run/resolv.conf' },
};
const FILES = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n',
  'etc/group': 'root:x:0:\nnogroup:x:65534:\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
};
const EMPTY = ['billet', 'dev', 'etc', 'proc', 'root', 'run', 'sys', 'sysroot', 'tmp', 'var'];

export interface PieceSources {
  /** The Debian root, with Node as /usr/bin/node. */
  readonly root: string;
  readonly kernelRelease: string;
  /** Text of modules.list. */
  readonly moduleList: string;
  readonly signal: AbortSignal;
}

/** Fills the empty directory `to`. */
export async function collectPieces(to: string, sources: PieceSources): Promise<void> {
  const { root, signal } = sources;
  for (const dir of EMPTY) await mkdir(join(to, dir), { recursive: true });
  for (const [name, target] of Object.entries(LINKS)) await link(to, name, target);
  for (const [name, text] of Object.entries(FILES)) await writeFile(join(to, name), text);

  const loaded = [...PROGRAMS, ...OPENED];
  const libraries = await librariesOf(root, loaded, signal);
  for (const path of new Set([BUSYBOX, ...loaded, ...libraries, '/etc/mke2fs.conf']))
    await copyInto(to, path, join(root, path));
  await linkApplets(to, root, signal);
  await copyModules(to, sources);
}

async function copyInto(to: string, path: string, from: string): Promise<void> {
  await mkdir(dirname(join(to, path)), { recursive: true });
  await copyFile(from, join(to, path));
}

async function link(to: string, name: string, target: string): Promise<void> {
  await mkdir(dirname(join(to, name)), { recursive: true });
  await symlink(target, join(to, name));
}

/** Busybox serves each name that has no program of its own. */
async function linkApplets(to: string, root: string, signal: AbortSignal): Promise<void> {
  const applets = (await run(['chroot', root, BUSYBOX, '--list'], { signal })).split('\n');
  const taken = new Set([
    ...(await readdir(join(to, 'usr/bin'))),
    ...(await readdir(join(to, 'usr/sbin'))),
  ]);
  for (const applet of applets.filter((name) => name && !taken.has(name)))
    await link(to, `usr/bin/${applet}`, 'busybox');
}

/** Unpacked, since the archive is compressed as a whole and loading is then plain reading. */
async function copyModules(to: string, sources: PieceSources): Promise<void> {
  const { root, kernelRelease, moduleList, signal } = sources;
  const from = join(root, 'usr/lib/modules', kernelRelease);
  const read = (name: string) => readFile(join(from, `modules.${name}`), 'utf8');
  const [dep, softdep, alias, builtin] = await Promise.all(
    ['dep', 'softdep', 'alias', 'builtin'].map(read),
  );
  const files = { dep, softdep, alias, builtin } as Record<
    'dep' | 'softdep' | 'alias' | 'builtin',
    string
  >;
  const dir = join('/usr/lib/modules', kernelRelease);
  const wanted = resolveModules(parseModuleList(moduleList), files);
  for (const path of wanted) await copyInto(to, join(dir, path), join(from, path));
  await run(['find', join(to, dir), '-name', '*.ko.xz', '-exec', 'xz', '-d', '{}', '+'], {
    signal,
  });
  for (const name of ['order', 'builtin', 'builtin.modinfo'])
    await copyInto(to, join(dir, `modules.${name}`), join(from, `modules.${name}`));
  await run(['chroot', to, 'depmod', kernelRelease], { signal });
}
