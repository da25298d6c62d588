// Builds the boot image: the kernel, and an initramfs with the agent and its trust policy. Entry of
// the build; everything it makes lies in the cache, by what it was made from.

import { createWriteStream } from 'node:fs';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { sha256 } from '#shared/digest.ts';
import { BOOT_IMAGE_INFO_PATH, BootImageInfo } from '#shared/schema/boot-image-info.ts';
import { VERSION } from '#shared/version.ts';
import { AGENT_FILES, writeAgent } from '../setup/build/agent-bundle.ts';
import { cached, fileDigest, treeDigest } from '../setup/build/cache.ts';
import { SOURCE_DATE_EPOCH } from '../setup/build/epoch.ts';
import { type BootRoot, type BuildContext, buildBootRoot } from './boot-root.ts';
import { cpioOfTree } from './cpio.ts';
import { collectPieces } from './pieces.ts';

/**
 * 41 MB. lz4 at its best level is 65 MB and gets to the agent about a second earlier under emulation;
 * on hardware both unpack in a moment, and 24 MB are two seconds of a 100 Mbit/s link.
 */
const ZSTD_LEVEL = 19;

const SCRIPTS = {
  'init.sh': 'init',
  'hotplug.sh': 'billet/hotplug.sh',
  'udhcpc.sh': 'usr/share/udhcpc/default.script',
};
/** Install profiles: folders of systemd-repart definitions. */
const PROFILES = { from: join(import.meta.dirname, 'repart.d'), to: 'usr/share/billet/install' };

export interface BootImageOptions extends BuildContext {
  /** The trust policy that every node of this image enforces: a file, copied as it is. */
  readonly trustPolicy: string;
  /** What the image says of itself; without it, that it is the first `boot` of this Billet. */
  readonly info?: Partial<Omit<BootImageInfo, 'format'>>;
  /** A folder to take as /billet, with agent.mjs in it; else the agent of this tree is bundled. */
  readonly agentDir?: string;
  /** The Node binary for nodes: linux, x64. */
  readonly node?: string;
}

export interface BootImage {
  /** Holds the files `kernel`, `initramfs`, `release` and `image.json`. */
  readonly dir: string;
  readonly kernel: string;
  readonly initramfs: string;
  readonly kernelRelease: string;
  /** As baked in. */
  readonly info: BootImageInfo;
  /** Changes whenever kernel or initramfs do. */
  readonly key: string;
  /** The folder with the agent's files, the same as in the initramfs. */
  readonly agentDir: string;
  readonly bootRoot: BootRoot;
}

/**
 * Builds what is not in the cache yet. A changed agent or policy takes seconds: it is an archive of
 * its own behind the large one (the kernel unpacks them in order). Equal inputs give equal bytes.
 */
export async function buildBootImage(options: BootImageOptions): Promise<BootImage> {
  const bootRoot = await buildBootRoot(options, options.node);
  const pieces = await buildPieces(bootRoot, options);
  const agentDir = options.agentDir ?? (await buildAgent(options));
  const info = await infoOf(options.info, bootRoot);
  const infoText = `${JSON.stringify(info, null, 2)}\n`;
  const scripts = Object.keys(SCRIPTS).map((name) => join(import.meta.dirname, name));
  const inputs = {
    pieces,
    agent: await treeDigest(agentDir),
    policy: await fileDigest(options.trustPolicy),
    info: infoText,
    scripts: (await Promise.all(scripts.map(fileDigest))).join(' '),
    profiles: await treeDigest(PROFILES.from),
    recipe: await recipeDigest('build.ts', 'cpio.ts'),
  };
  const entry = await cached(options, 'boot-image', inputs, async (dir) => {
    options.progress('packing the initramfs');
    const tree = join(dir, 'tree');
    for (const name of await readdir(agentDir))
      await placeFile(join(agentDir, name), join(tree, 'billet', name), 0o644);
    await placeFile(options.trustPolicy, join(tree, 'etc/billet/trust-policy.json'), 0o644);
    await writeFile(join(tree, BOOT_IMAGE_INFO_PATH), infoText, { mode: 0o644 });
    for (const [name, target] of Object.entries(SCRIPTS))
      await placeFile(join(import.meta.dirname, name), join(tree, target), 0o755);
    for (const name of await readdir(PROFILES.from, { recursive: true }))
      if (name.endsWith('.conf'))
        await placeFile(join(PROFILES.from, name), join(tree, PROFILES.to, name), 0o644);
    const initramfs = join(dir, 'initramfs');
    await copyFile(join(pieces, 'pieces.cpio.zst'), initramfs);
    await appendArchive(initramfs, tree, options.signal);
    await rm(tree, { recursive: true });
    const vmlinuz = join(bootRoot.root, 'boot', `vmlinuz-${bootRoot.kernelRelease}`);
    await copyFile(vmlinuz, join(dir, 'kernel'));
    await writeFile(join(dir, 'release'), `${bootRoot.kernelRelease}\n`);
    await writeFile(join(dir, 'image.json'), infoText);
  });
  return {
    dir: entry,
    kernel: join(entry, 'kernel'),
    initramfs: join(entry, 'initramfs'),
    kernelRelease: bootRoot.kernelRelease,
    info,
    key: entry.slice(-16),
    agentDir,
    bootRoot,
  };
}

/**
 * An image is not older than the kernel in it: without another time, the kernel's is the floor of its
 * nodes' clocks, so that the same packages give the same image on every day.
 */
async function infoOf(info: BootImageOptions['info'], root: BootRoot): Promise<BootImageInfo> {
  const { mtime } = await stat(join(root.root, 'boot', `vmlinuz-${root.kernelRelease}`));
  const defaults = { name: 'boot', sequence: 1, version: VERSION, builtAt: mtime.toISOString() };
  return BootImageInfo.parse({ format: 1, ...defaults, ...info });
}

/** The large archive, which changes with the kernel or Node only. */
async function buildPieces(bootRoot: BootRoot, context: BuildContext): Promise<string> {
  const moduleList = await readFile(join(import.meta.dirname, 'modules.list'), 'utf8');
  const inputs = {
    root: bootRoot.key,
    modules: sha256(moduleList),
    recipe: await recipeDigest('cpio.ts', 'kernel-modules.ts', 'pieces.ts'),
    libraries: await fileDigest(join(import.meta.dirname, '../setup/build/libraries.ts')),
  };
  return cached(context, 'boot-pieces', inputs, async (dir) => {
    context.progress('picking kernel modules and programs for the initramfs');
    const tree = join(dir, 'tree');
    await mkdir(tree);
    await collectPieces(tree, { ...bootRoot, moduleList, signal: context.signal });
    context.progress('compressing the initramfs (once; about a minute)');
    await appendArchive(join(dir, 'pieces.cpio.zst'), tree, context.signal);
    await rm(tree, { recursive: true });
  });
}

/** Bundled each time, which is quick, and kept by what came out. */
async function buildAgent(options: BuildContext): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'billet-agent-'));
  try {
    await writeAgent(made);
    return await cached(options, 'agent', { agent: await treeDigest(made) }, async (dir) => {
      for (const name of AGENT_FILES) await copyFile(join(made, name), join(dir, name));
    });
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/** Appends the tree as a compressed cpio archive of its own. */
export async function appendArchive(
  file: string,
  tree: string,
  signal: AbortSignal,
): Promise<void> {
  const zstd = createZstdCompress({
    chunkSize: 1 << 20,
    params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
  });
  const packed = pipeline(zstd, createWriteStream(file, { flags: 'a' }), { signal });
  await Promise.all([feed(zstd, cpioOfTree(tree, SOURCE_DATE_EPOCH)), packed]);
}

/**
 * Ends the stream once everything in it was taken: Node tells zstd of the end together with the last
 * piece where it knows of it by then, and the bytes that come out would depend on who was faster.
 */
async function feed(to: Transform, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of pieces) {
    const taken = Promise.withResolvers<void>();
    to.write(piece, (error) => (error ? taken.reject(error) : taken.resolve()));
    await taken.promise;
  }
  to.end();
}

async function placeFile(from: string, to: string, mode: number): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
  await chmod(to, mode);
}

/** Digest of the sources that decide bytes, as far as named. */
async function recipeDigest(...names: readonly string[]): Promise<string> {
  const digests = names.map((name) => fileDigest(join(import.meta.dirname, name)));
  return sha256([ZSTD_LEVEL, ...(await Promise.all(digests))].join(' '));
}
