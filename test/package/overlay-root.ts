// A Debian system that can be changed and looked at: a writable layer over a root of the cache, in mount
// and process namespaces of each command, so that nothing stays mounted or running.

import { spawnSync } from 'node:child_process';
import { copyFileSync, globSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

export interface Ran {
  readonly code: number | null;
  readonly output: string;
}

export interface OverlayRoot {
  /** Runs one line of shell inside, as root; without systemd, network or devices but null. */
  run(command: string): Ran;
  /** Puts files into /packages. */
  give(files: readonly string[]): void;
  /** What was added, changed or (with `-` before it) removed since the beginning: paths, sorted. */
  changes(): readonly string[];
  close(): void;
}

const TIMEOUT_MS = 300_000;

/** Mounts and runs; `$1` layers, `$2` root below, `$3` command. */
const ENTER = `
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/merged"
mount -t proc proc "$1/merged/proc"
mount -t tmpfs tmpfs "$1/merged/tmp"
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \\
  chroot "$1/merged" sh -c "$3"
`;

/** Layers on a tmpfs of the host: overlayfs takes no upper layer on another overlay. */
export function overlayRoot(lower: string): OverlayRoot {
  const base = globSync('/dev/shm').length === 1 ? '/dev/shm' : tmpdir();
  const dir = mkdtempSync(join(base, 'billet-root-'));
  const upper = join(dir, 'upper');
  for (const name of ['upper', 'work', 'merged']) mkdirSync(join(dir, name));
  return {
    run(command) {
      const namespaces = ['--mount', '--pid', '--net', '--fork', '--kill-child'];
      const { status, stdout, stderr } = spawnSync(
        'unshare',
        [...namespaces, 'sh', '-euc', ENTER, 'sh', dir, lower, command],
        { encoding: 'utf8', timeout: TIMEOUT_MS, killSignal: 'SIGKILL' },
      );
      return { code: status, output: `${stdout}${stderr}` };
    },
    give(files) {
      mkdirSync(join(upper, 'packages'), { recursive: true });
      for (const file of files) copyFileSync(file, join(upper, 'packages', basename(file)));
    },
    changes() {
      const paths = globSync('**/*', { cwd: upper, withFileTypes: true })
        .filter((entry) => !entry.isDirectory())
        .map((entry) => join(entry.parentPath, entry.name))
        .map((path) => `${isWhiteout(path) ? '-' : ''}${path.slice(upper.length)}`);
      return paths.sort();
    },
    close: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** A character device 0/0 (Documentation/filesystems/overlayfs.rst, "whiteouts"). */
function isWhiteout(path: string): boolean {
  const stat = lstatSync(path);
  return stat.isCharacterDevice() && stat.rdev === 0;
}
