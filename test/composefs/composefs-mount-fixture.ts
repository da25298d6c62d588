// A composefs image and its objects, mounted as a node mounts them, and file systems that other
// tools made. Everything is unmounted and removed at the end of the test.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ComposedImage } from '#shared/artifact/composefs/image.ts';
import { hexOf } from '#shared/digest.ts';
import { loopDevices } from '../../agent/drivers/loop-device.ts';
import { hostMounts } from '../../agent/drivers/mounts.ts';
import { storePaths } from '../../agent/store/layout.ts';
import { mountComposefs } from '../../agent/store/mount-image.ts';

export interface Workshop {
  readonly folder: string;
  /** Path of the root of the mounted image; without fs-verity, which this host need not have. */
  mountImage(image: ComposedImage, objects: ReadonlyMap<string, Buffer>): Promise<string>;
  /** Path of the root of an EROFS image on its own. */
  mountErofs(image: string): string;
  /** Runs a real tool to its end; its stdout. */
  run(command: string, ...args: readonly string[]): string;
}

export function workshop(t: TestContext): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'billet-composefs-'));
  const mounts = hostMounts();
  const mounted: string[] = [];
  t.after(() => {
    for (const target of mounted.reverse()) mounts.unmount(target, { detach: true });
    rmSync(folder, { recursive: true });
  });
  const newTarget = (): string => mkdtempSync(join(folder, 'mount-'));
  const run: Workshop['run'] = (command, ...args) =>
    execFileSync(command, args, { timeout: 120_000, encoding: 'utf8', stdio: 'pipe' });

  return {
    folder,
    run,
    async mountImage(image, objects) {
      const paths = storePaths(mkdtempSync(join(folder, 'store-')));
      for (const path of [paths.objects, paths.images, paths.temporary]) mkdirSync(path);
      writeFileSync(paths.image(hexOf(image.digest)), image.bytes);
      for (const [hex, bytes] of objects) {
        mkdirSync(join(paths.objects, hex.slice(0, 2)), { recursive: true });
        writeFileSync(paths.object(hex), bytes);
      }
      const target = newTarget();
      const mounter = { mounts, attachLoop: loopDevices(), paths, verity: false };
      await mountComposefs(mounter, image.digest, target);
      mounted.push(target);
      return target;
    },
    mountErofs(image) {
      const target = newTarget();
      run('mount', '-t', 'erofs', '-o', 'ro,loop', image, target);
      mounted.push(target);
      return target;
    },
  };
}
