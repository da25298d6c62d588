// Makes the mounted system image into a root to run from: writable /etc, /root and /var in memory,
// the settings in them, and the directories that outlive boots. /usr has no writable layer.

import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { bytesOfText, lookup, type Tree } from '#shared/artifact/composefs/tree.ts';
import { BilletError } from '#shared/errors.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { execOrThrow } from '../drivers/exec.ts';
import { exists, makeDirectory, writeFileAtomic } from '../drivers/files.ts';
import type { MountFlag } from '../drivers/mounts.ts';
import { syncFilesystem } from '../drivers/sync.ts';
import type { SettingsFile } from '../reconcile/settings-files.ts';
import type { BootPorts } from './ports.ts';

export interface RootRequest {
  readonly files: readonly SettingsFile[];
  /** Checked settings by module name. */
  readonly settings: ReadonlyMap<string, unknown>;
  /** Directories below /var that system modules declare. */
  readonly persistent: readonly string[];
}

interface Writable {
  readonly path: string;
  readonly mode: string;
  readonly flags: readonly MountFlag[];
}

const WRITABLE: readonly Writable[] = [
  { path: '/etc', mode: '0755', flags: ['nosuid', 'nodev'] },
  { path: '/root', mode: '0700', flags: ['nosuid', 'nodev'] },
  { path: '/var', mode: '0755', flags: ['nosuid', 'nodev'] },
];

/** Where the kernel's file systems and hand-over are moved to. */
const MOUNT_POINTS = ['/dev', '/proc', '/run', '/sys', '/tmp'];

type RootPorts = Pick<BootPorts, 'mounts' | 'exec' | 'paths' | 'sysroot'>;

/** Throws MODULE_INVALID for an image that is no root; on any error, unmount `sysroot` and below. */
export async function prepareRoot(
  ports: RootPorts,
  request: RootRequest,
  signal: AbortSignal,
): Promise<void> {
  const { sysroot } = ports;
  for (const writable of WRITABLE) await coverWithCopy(ports, writable, signal);
  for (const file of request.files) await put(sysroot, file);
  for (const path of request.persistent) await bindPersistent(ports, path, signal);
  await writeSettings(ports, request.settings);
}

/** Throws MODULE_INVALID, naming the path, unless the tree can be a root. */
export function assertRoot(tree: Tree): void {
  for (const path of [...WRITABLE.map((each) => each.path), ...MOUNT_POINTS])
    if (lookup(tree, bytesOfText(path))?.kind !== 'directory')
      throw new BilletError('MODULE_INVALID', `the system image has no directory ${path}`, {
        hint: `ship an empty ${path} in a system module`,
      });
}

/** A tmpfs with what the image has at this path, in its place. */
async function coverWithCopy(
  { mounts, exec, paths, sysroot }: RootPorts,
  { path, mode, flags }: Writable,
  signal: AbortSignal,
): Promise<void> {
  const draft = join(paths.run, `draft${path}`);
  await mkdir(draft, { recursive: true });
  mounts.mount({
    source: `billet${path.replaceAll('/', '-')}`,
    target: draft,
    type: 'tmpfs',
    flags,
    options: `mode=${mode}`,
  });
  try {
    await copyTree(exec, join(sysroot, path), draft, signal);
    mounts.bind(draft, join(sysroot, path), flags);
  } finally {
    mounts.unmount(draft, { detach: true });
    await rm(draft, { recursive: true, force: true });
  }
}

/** With owners, modes and times; cp(1) does it in one process. */
async function copyTree(
  exec: BootPorts['exec'],
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<void> {
  await execOrThrow(
    exec,
    ['cp', '-a', `${from}/.`, to],
    signal,
    'the memory of the machine may be full',
  );
}

async function put(sysroot: string, file: SettingsFile): Promise<void> {
  const path = join(sysroot, file.path);
  // 0700 for what is made under /root; what the image has keeps its mode.
  await mkdir(dirname(path), {
    recursive: true,
    mode: file.path.startsWith('/root/') ? 0o700 : 0o755,
  });
  await rm(path, { force: true });
  if ('linkTo' in file) await symlink(file.linkTo, path);
  else {
    await writeFile(path, file.content, { mode: file.mode });
    await chmod(path, file.mode);
  }
}

/**
 * Starts as what the image ships there; from then on it is the node's. The copy gets its name once it is
 * whole and on the disk, so that a directory of that name is data, and is never touched again.
 */
async function bindPersistent(
  { mounts, exec, paths, sysroot }: RootPorts,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  // One name each: a path below another one that is kept as well is data of its own.
  const name = encodeURIComponent(path.slice('/var/'.length));
  const data = join(paths.var, name);
  const target = join(sysroot, path);
  await mkdir(target, { recursive: true });
  if (!(await exists(data))) {
    // A crash in the middle of the first copy starts it again.
    const draft = join(paths.var, `.draft-${name}`);
    await rm(draft, { recursive: true, force: true });
    await makeDirectory(draft, 0o755);
    await copyTree(exec, target, draft, signal);
    syncFilesystem(draft);
    await rename(draft, data);
    await syncDirectory(paths.var);
  }
  mounts.bind(data, target, ['nosuid', 'nodev']);
}

async function writeSettings(
  { paths }: RootPorts,
  settings: ReadonlyMap<string, unknown>,
): Promise<void> {
  await mkdir(paths.settings, { recursive: true, mode: 0o755 });
  for (const [name, values] of settings)
    await writeFileAtomic(join(paths.settings, `${name}.json`), `${JSON.stringify(values)}\n`);
}
