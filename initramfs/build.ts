// Builds a boot image: kernel, and an initramfs that runs the agent. Two archives make the initramfs:
// a small plain one (agent, trust policy, init) before a large compressed one (Node, tools, drivers)
// that is built once. The same inputs give the same bytes.

import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execOrThrow, hostExec } from '../agent/drivers/exec.ts';
import { bundleAgent } from './agent-bundle.ts';
import { type BootRoot, bootRoot, compress, kernelModuleFiles } from './boot-root.ts';
import { type BuildContext, cached } from './cache.ts';
import { type CpioEntry, cpio } from './cpio.ts';
import { ALWAYS_LOADED, selectModules } from './kernel-modules.ts';
import { librariesOf } from './libraries.ts';

export interface BootImageFiles {
  /** Holds `kernel`, `initramfs` and `release`, as `billet image push` takes them. */
  readonly dir: string;
  readonly kernel: string;
  readonly initramfs: string;
  readonly kernelRelease: string;
}

const here = import.meta.dirname;

/** `trustPolicy`: the JSON text that nodes started with this image will obey. */
export async function buildBootImage(
  context: BuildContext,
  trustPolicy: string,
): Promise<BootImageFiles> {
  const root = await bootRoot(context);
  const system = await systemArchive(context, root);
  const agent = await agentArchive(trustPolicy);
  const dir = await cached(
    context,
    'boot-image',
    { agent, system: await readFile(system), release: root.release },
    async (draft) => {
      await copyFile(root.kernel, join(draft, 'kernel'));
      await writeFile(join(draft, 'initramfs'), Buffer.concat([agent, await readFile(system)]));
      await writeFile(join(draft, 'release'), `${root.release}\n`);
    },
  );
  return {
    dir,
    kernel: join(dir, 'kernel'),
    initramfs: join(dir, 'initramfs'),
    kernelRelease: root.release,
  };
}

/** What changes often: a few files, which the kernel unpacks first. */
async function agentArchive(trustPolicy: string): Promise<Buffer> {
  const file = (path: string, mode: number, content: Uint8Array | string): CpioEntry => ({
    kind: 'file',
    path,
    mode,
    content: Buffer.from(content),
  });
  const archive = cpio([
    file('init', 0o755, await readFile(join(here, 'init.sh'))),
    file('usr/share/udhcpc/default.script', 0o755, await readFile(join(here, 'udhcpc.sh'))),
    file('usr/lib/billet/agent.mjs', 0o644, await bundleAgent()),
    file('etc/billet/trust-policy.json', 0o644, trustPolicy),
    file('etc/billet/modules', 0o644, `${ALWAYS_LOADED.join(' ')}\n`),
    { kind: 'symlink', path: 'bin', target: 'usr/bin' },
    { kind: 'symlink', path: 'sbin', target: 'usr/sbin' },
    { kind: 'symlink', path: 'lib', target: 'usr/lib' },
    { kind: 'symlink', path: 'lib64', target: 'usr/lib64' },
    ...['dev', 'proc', 'sys', 'run', 'sysroot', 'tmp', 'var'].map(
      (path): CpioEntry => ({ kind: 'directory', path, mode: 0o755 }),
    ),
    { kind: 'character', path: 'dev/console', mode: 0o600, major: 5, minor: 1 },
  ]);
  // The next archive has to start on a multiple of four; more keeps it aligned for any reader.
  return Buffer.concat([archive, Buffer.alloc((512 - (archive.length % 512)) % 512)]);
}

/** What changes with Debian and Node only. */
async function systemArchive(context: BuildContext, root: BootRoot): Promise<string> {
  const sources = ['boot-root.ts', 'build.ts', 'kernel-modules.ts', 'libraries.ts', 'cpio.ts'];
  const inputs = Object.fromEntries(
    await Promise.all(
      sources.map(async (name) => [name, await readFile(join(here, name))] as const),
    ),
  );
  const dir = await cached(context, 'boot-system', { ...inputs, root: root.dir }, async (draft) => {
    await compress(
      cpio(await systemEntries(root, draft, context.signal)),
      join(draft, 'system.cpio.zst'),
      context.signal,
    );
  });
  return join(dir, 'system.cpio.zst');
}

async function systemEntries(
  root: BootRoot,
  workDir: string,
  signal: AbortSignal,
): Promise<CpioEntry[]> {
  const inRoot = (path: string) => join(root.dir, path);
  const programs = new Map([
    ['usr/bin/busybox', inRoot('usr/bin/busybox')],
    ['usr/bin/kmod', inRoot('usr/bin/kmod')],
    ['usr/sbin/mke2fs', inRoot('usr/sbin/mke2fs')],
    ['usr/sbin/e2fsck', inRoot('usr/sbin/e2fsck')],
    ['usr/lib/billet/node', root.node],
  ]);
  const dynamic = [...programs.values()].filter((path) => !path.endsWith('/busybox'));
  const libraries = await librariesOf(root.dir, dynamic, signal);
  const entries: CpioEntry[] = [];
  const file = async (path: string, mode: number, from: string) =>
    entries.push({ kind: 'file', path, mode, content: await readFile(from) });

  for (const [path, from] of programs) await file(path, 0o755, from);
  for (const [name, from] of libraries) {
    const dir = name.startsWith('ld-linux') ? 'usr/lib64' : 'usr/lib/x86_64-linux-gnu';
    await file(`${dir}/${name}`, 0o755, from);
  }
  await file('etc/mke2fs.conf', 0o644, inRoot('etc/mke2fs.conf'));

  for (const name of ['modprobe', 'insmod', 'lsmod', 'depmod'])
    entries.push({ kind: 'symlink', path: `usr/sbin/${name}`, target: '../bin/kmod' });
  const taken = new Set(['modprobe', 'insmod', 'lsmod', 'depmod', 'busybox', 'mke2fs']);
  const applets = await execOrThrow(
    hostExec,
    [inRoot('usr/bin/busybox'), '--list'],
    signal,
    'is this an x86-64 machine?',
  );
  for (const name of applets.split('\n').filter((line) => line !== '' && !taken.has(line)))
    entries.push({ kind: 'symlink', path: `usr/bin/${name}`, target: 'busybox' });

  const table = async (name: string) =>
    await readFile(join(root.dir, 'usr/lib/modules', root.release, name), 'utf8');
  const chosen = selectModules({
    dep: await table('modules.dep'),
    softdep: await table('modules.softdep'),
    builtin: await table('modules.builtin'),
  });
  const modules = await kernelModuleFiles(root, chosen, workDir, signal);
  for (const [path, content] of modules)
    entries.push({
      kind: 'file',
      path: `usr/lib/modules/${root.release}/${path}`,
      mode: 0o644,
      content,
    });
  return entries;
}
