// Small file systems that fill up, for tests of pulling. Needs root; gone after the test.

import { statfsSync } from 'node:fs';
import { mkdtemp, open, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { hostExec } from '../../agent/drivers/exec.ts';
import { makeVolatileExt4 } from '../../agent/drivers/ext4.ts';
import { loopDevices } from '../../agent/drivers/loop-device.ts';
import { hostMounts } from '../../agent/drivers/mounts.ts';

const mounts = hostMounts();

export const needsRoot = process.getuid?.() === 0 ? false : 'mount(2) needs root';

export interface SmallDisk {
  readonly dir: string;
  freeBytes(): number;
  /** Takes all but `leftBytes`, with data that is not the store's. */
  fill(leftBytes: number): Promise<void>;
  drain(): Promise<void>;
}

export async function smallTmpfs(context: TestContext, bytes: number): Promise<SmallDisk> {
  const target = await mkdtemp(join(tmpdir(), 'billet-disk-'));
  mounts.mount({ source: 'billet-test', target, type: 'tmpfs', options: `size=${bytes}` });
  context.after(async () => {
    mounts.unmount(target, { detach: true });
    await rmdir(target);
  });
  return disk(target);
}

/** As the store in memory of a node: ext4 in a file, blocks of 4096 bytes. */
export async function smallExt4(context: TestContext, bytes: number): Promise<SmallDisk> {
  const around = await smallTmpfs(context, 2 * bytes);
  const image = join(around.dir, 'data.ext4');
  const file = await open(image, 'wx');
  await file.truncate(bytes);
  await file.close();
  await makeVolatileExt4(image, hostExec, context.signal);
  const target = await mkdtemp(join(tmpdir(), 'billet-disk-'));
  const loop = loopDevices()(image);
  try {
    mounts.mount({ source: loop.path, target, type: 'ext4', flags: ['noatime'] });
  } finally {
    loop.release();
  }
  context.after(async () => {
    mounts.unmount(target, { detach: true });
    await rmdir(target);
  });
  return disk(target);
}

function disk(dir: string): SmallDisk {
  const filler = join(dir, 'filler');
  const freeBytes = (): number => {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
  };
  return {
    dir,
    freeBytes,
    async fill(leftBytes) {
      const file = await open(filler, 'w');
      const block = Buffer.alloc(64 * 1024, 1);
      while (freeBytes() >= leftBytes + block.length) await file.write(block);
      await file.close();
    },
    drain: () => rm(filler, { force: true }),
  };
}
