// Mounts, by mount(2). Makes and removes them and reads the mount table; what to mount is decided
// elsewhere.

import { readFile } from 'node:fs/promises';
import { BilletError } from '#shared/errors.ts';
import { type Libc, openLibc } from './libc.ts';

/** mount(2) flags by the names of mount(8). */
const FLAGS = {
  ro: 1,
  nosuid: 2,
  nodev: 4,
  noexec: 8,
  remount: 32,
  noatime: 1024,
  bind: 4096,
  move: 8192,
  rec: 16384,
  private: 1 << 18,
} as const;

export type MountFlag = keyof typeof FLAGS;

export interface MountRequest {
  /** What /proc/mounts shows, for file systems without a device. */
  readonly source: string;
  readonly target: string;
  /** '' for bind, move and changes of propagation. */
  readonly type: string;
  readonly flags?: readonly MountFlag[];
  /** Options of the file system, comma-separated. */
  readonly options?: string;
}

export interface MountEntry {
  readonly target: string;
  readonly type: string;
  readonly source: string;
  /** Of the mount and of the file system. */
  readonly options: readonly string[];
}

export interface Mounts {
  /** Throws MOUNT_FAILED; `details.errno` is the kernel's answer. */
  mount(request: MountRequest): void;
  /**
   * A bind mount with flags of its own (they need a second call). On an error nothing is mounted.
   */
  bind(source: string, target: string, flags?: readonly MountFlag[]): void;
  /** `detach`: gone from the tree now, released when nothing uses it. Not mounted is fine. */
  unmount(target: string, options?: { readonly detach?: boolean }): void;
  /** The mount table of this process, oldest first (proc(5), mountinfo). */
  table(): Promise<readonly MountEntry[]>;
}

const MNT_DETACH = 2;

export function hostMounts(libc: Libc = openLibc()): Mounts {
  const mount = ({ source, target, type, flags = [], options = '' }: MountRequest): void => {
    const bits = flags.reduce((sum, flag) => sum | FLAGS[flag], 0);
    const failed = libc.mount(source, target, type, bits, options);
    if (failed === null) return;
    throw new BilletError(
      'MOUNT_FAILED',
      `mount ${type || flags.join(',')} ${source} on ${target}: ${failed.errno}`,
      {
        hint: 'the kernel says why: dmesg | tail',
        details: { errno: failed.errno, source, target, type, options },
      },
    );
  };
  const unmount: Mounts['unmount'] = (target, { detach = false } = {}) => {
    const failed = libc.umount2(target, detach ? MNT_DETACH : 0);
    if (failed === null || failed.errno === 'EINVAL' || failed.errno === 'ENOENT') return;
    throw new BilletError('MOUNT_FAILED', `umount ${target}: ${failed.errno}`, {
      hint: `see who uses it: fuser -m ${target}`,
      details: { errno: failed.errno, target },
    });
  };
  return {
    mount,
    unmount,
    bind(source, target, flags = []) {
      mount({ source, target, type: '', flags: ['bind'] });
      if (flags.length === 0) return;
      try {
        mount({ source: 'none', target, type: '', flags: ['bind', 'remount', ...flags] });
      } catch (error) {
        unmount(target, { detach: true });
        throw error;
      }
    },
    table: async () => parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8')),
  };
}

/** `36 35 98:0 /root /target options [optional…] - type source options`, blanks as \040. */
export function parseMountinfo(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ');
    const [type = '', source = '', superOptions = ''] = after?.split(' ') ?? [];
    const [, , , , target = '', options = ''] = before.split(' ');
    if (type === '') return [];
    return [
      {
        target: unescaped(target),
        type,
        source: unescaped(source),
        options: [...options.split(','), ...superOptions.split(',')].map(unescaped),
      },
    ];
  });
}

const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));

/** The kernel's answer in a MOUNT_FAILED, e.g. ENOTBLK; null for other errors. */
export function mountErrno(error: unknown): string | null {
  if (!(error instanceof BilletError) || error.code !== 'MOUNT_FAILED') return null;
  return String(error.details.errno ?? '');
}
