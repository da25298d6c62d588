// An ext4 of its own for a bench, in a file, made as a node's persist disk is. A file system that
// others use gives other figures from run to run: ext4 passes by the inodes that were freed in the
// last minutes, one by one, so that whoever ran before decides what creating a file costs.

import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { loopDevices } from '../../agent/drivers/loop-device.ts';
import { hostMounts } from '../../agent/drivers/mounts.ts';
import { run } from '../../setup/build/drivers/run.ts';

export interface FreshDisk {
  /** Where it is mounted. */
  readonly path: string;
  /** Waits until all that was written is on the disk: for between two measurements. */
  settle(): Promise<unknown>;
  release(): void;
}

const SIZE_BYTES = 12 * 2 ** 30;

/** Needs root. `dir` holds the file (sparse) and the mount point. */
export async function freshDisk(dir: string, signal: AbortSignal): Promise<FreshDisk> {
  const [file, path] = [join(dir, 'disk'), join(dir, 'mounted')];
  const fd = openSync(file, 'wx');
  ftruncateSync(fd, SIZE_BYTES);
  closeSync(fd);
  mkdirSync(path);
  const options = ['-q', '-F', '-O', 'verity', '-b', '4096', '-E', 'lazy_itable_init=0'];
  await run(['mkfs.ext4', ...options, file], { signal });
  const loop = loopDevices()(file);
  const mounts = hostMounts();
  try {
    mounts.mount({ source: loop.path, target: path, type: 'ext4', flags: ['noatime'] });
  } finally {
    loop.release();
  }
  return {
    path,
    settle: () => run(['sync', '-f', path], { signal }),
    release() {
      mounts.unmount(path, { detach: true });
      rmSync(file, { force: true });
    },
  };
}
