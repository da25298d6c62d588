// A boot slot's file system while it is worked on: FAT, mounted for one piece of work and never longer.
// Files get their names once they are whole and on the disk. Decides nothing.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Digest, digestOfHex } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { diskError } from './disk-error.ts';
import { exists } from './files.ts';
import type { Mounts } from './mounts.ts';
import { syncFilesystem } from './sync.ts';

/** Boot Loader Specification, "Type #2". */
const LINUX = 'EFI/Linux';
const CHUNK_BYTES = 1024 * 1024;
/** No name that a loader looks at. */
const DRAFT = '.billet-draft';

type Content = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Paths are from the root of the volume. Throws STORE_FULL and STORE_FAILED. */
export interface SlotVolume {
  /** Names below EFI/Linux, sorted. */
  names(): Promise<string[]>;
  /** SHA-256 of a file; null when there is none, or the disk does not give it. */
  digest(path: string): Promise<Digest | null>;
  read(path: string): AsyncIterable<Uint8Array>;
  sizeBytes(path: string): Promise<number>;
  freeBytes(): Promise<number>;
  /** Replaces a file: on an error, DIGEST_MISMATCH among them, the old one stands. */
  write(path: string, content: Content, expected: Digest): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** None is fine. */
  remove(path: string): Promise<void>;
}

export const inLinux = (name: string): string => join(LINUX, name);

export interface VolumeDeps {
  readonly mounts: Mounts;
  /** An empty directory of this machine's own, on tmpfs. */
  readonly dir: string;
  /** With its options; vfat without one. */
  readonly fileSystem?: { readonly type: string; readonly options: string };
}

/** mount(8), "Mount options for fat": nobody but root, and no write after the first that fails. */
const FAT = { type: 'vfat', options: 'umask=0077,shortname=mixed,errors=remount-ro' };

/** Mounts, works, writes everything out and unmounts, whatever comes. MOUNT_FAILED. */
export async function withSlotVolume<T>(
  { mounts, dir, fileSystem = FAT }: VolumeDeps,
  device: string,
  work: (volume: SlotVolume) => Promise<T>,
): Promise<T> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const flags = ['nosuid', 'nodev', 'noexec'] as const;
  // What a life that died has left.
  mounts.unmount(dir, { detach: true });
  mounts.mount({ source: device, target: dir, flags, ...fileSystem });
  try {
    return await work(slotVolume(dir));
  } finally {
    mounts.unmount(dir);
  }
}

async function told<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(error, what);
  }
}

/** Of a directory that is the volume's root. */
function slotVolume(root: string): SlotVolume {
  const at = (path: string) => join(root, path);
  const changed = (what: string, work: () => Promise<unknown>): Promise<void> =>
    told(what, async () => {
      await work();
      syncFilesystem(root);
    });
  return {
    names: () =>
      told(`list ${LINUX}`, async () => {
        const dir = at(LINUX);
        return (await exists(dir)) ? (await readdir(dir)).sort() : [];
      }),
    async digest(path) {
      const hash = createHash('sha256');
      try {
        for await (const chunk of chunksOf(at(path))) hash.update(chunk);
      } catch (error) {
        if (['ENOENT', 'EIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
        throw diskError(error, `read ${path}`);
      }
      return digestOfHex(hash.digest('hex'));
    },
    read: (path) => chunksOf(at(path)),
    sizeBytes: async (path) => (await told(`read ${path}`, () => stat(at(path)))).size,
    async freeBytes() {
      const { bavail, bsize } = await told('ask for free space', () => statfs(root));
      return bavail * bsize;
    },
    async write(path, content, expected) {
      const draft = join(dirname(at(path)), DRAFT);
      await changed(`write ${path}`, async () => {
        await mkdir(dirname(draft), { recursive: true });
        try {
          await writeVerified(draft, content, expected);
          await rename(draft, at(path));
        } catch (error) {
          await rm(draft, { force: true });
          throw error;
        }
      });
    },
    rename: (from, to) => changed(`rename ${from}`, () => rename(at(from), at(to))),
    remove: (path) => changed(`remove ${path}`, () => rm(at(path), { force: true })),
  };
}

const chunksOf = (path: string): AsyncIterable<Uint8Array> =>
  createReadStream(path, { highWaterMark: CHUNK_BYTES });

/** Durable when it resolves. */
async function writeVerified(path: string, content: Content, expected: Digest): Promise<void> {
  const hash = createHash('sha256');
  await using file = await open(path, 'w', 0o600);
  for await (const chunk of content) {
    hash.update(chunk);
    await file.writeFile(chunk);
  }
  const digest = digestOfHex(hash.digest('hex'));
  if (digest !== expected)
    throw new BilletError('DIGEST_MISMATCH', `${path} is ${digest}, not ${expected}`, {
      hint: 'it is fetched again; if it stays so, push the boot image again',
      details: { expected, digest },
    });
  await file.sync();
}
