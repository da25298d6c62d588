// EROFS metadata images in the store: written whole, sealed, named by their fs-verity digest.

import { randomUUID } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readErofs } from '#shared/artifact/composefs/erofs-read.ts';
import { fsverityHex } from '#shared/artifact/composefs/fsverity.ts';
import type { ComposedImage } from '#shared/artifact/composefs/image.ts';
import type { Tree } from '#shared/artifact/composefs/tree.ts';
import { type Digest, digestOfHex, hexOf } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { syncDirectory } from '#shared/sync-directory.ts';
import { diskError } from '../drivers/disk-error.ts';
import { readFileOrNull } from '../drivers/files.ts';
import type { Verity } from '../drivers/verity.ts';
import type { StorePaths } from './layout.ts';

export interface Images {
  /** Durable and sealed when it resolves. One that is there already is measured, not written. */
  write(image: ComposedImage): Promise<void>;
  /** All that are there, whole or not. */
  list(): Promise<readonly Digest[]>;
  /** The tree of an image; null when it is not there, or not what its name says. */
  read(digest: Digest): Promise<Tree | null>;
  /** Throws NOT_FOUND, and DIGEST_MISMATCH unless it has the digest of its name and is sealed. */
  assertWhole(digest: Digest): Promise<void>;
}

/** `verity` null: no fs-verity here, digests are computed from the bytes. */
export function imageFiles(paths: StorePaths, verity: Verity | null): Images {
  async function bytesOf(digest: Digest): Promise<Buffer | null> {
    const bytes = await readFileOrNull(paths.image(hexOf(digest)));
    return bytes !== null && fsverityHex(bytes) === hexOf(digest) ? bytes : null;
  }

  async function actualHex(path: string): Promise<string | null> {
    if (verity !== null) return measured(path, verity);
    const bytes = await readFileOrNull(path);
    return bytes === null ? null : fsverityHex(bytes);
  }

  async function writeNew({ bytes, digest }: ComposedImage): Promise<void> {
    const temporary = join(paths.temporary, `image-${randomUUID()}`);
    try {
      const file = await open(temporary, 'wx', 0o644);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      if (verity !== null) seal(temporary, digest, verity);
      await rename(temporary, paths.image(hexOf(digest)));
      await syncDirectory(paths.images);
    } catch (error) {
      await rm(temporary, { force: true });
      throw diskError(error, 'write an image');
    }
  }

  return {
    async write(image) {
      const hex = hexOf(image.digest);
      if ((await actualHex(paths.image(hex))) !== hex) await writeNew(image);
    },
    async list() {
      const names = await readdir(paths.images);
      return names.filter((name) => /^[0-9a-f]{64}$/.test(name)).map(digestOfHex);
    },
    async read(digest) {
      const bytes = await bytesOf(digest);
      return bytes === null ? null : readErofs(bytes);
    },
    async assertWhole(digest) {
      const path = paths.image(hexOf(digest));
      const actual = await actualHex(path);
      if (actual === hexOf(digest)) return;
      if (actual === null && (await readFileOrNull(path)) === null)
        throw new BilletError('NOT_FOUND', `no image ${digest} in the store`, {
          hint: 'it is composed when its modules are pulled; look for that failure',
        });
      throw mismatch(digest, actual);
    },
  };
}

function seal(path: string, digest: Digest, verity: Verity): void {
  const fd = openSync(path, 'r');
  try {
    verity.enable(fd);
    const actual = verity.measure(fd);
    if (actual !== hexOf(digest)) throw mismatch(digest, actual);
  } finally {
    closeSync(fd);
  }
}

function measured(path: string, verity: Verity): string | null {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return verity.measure(fd);
  } finally {
    closeSync(fd);
  }
}

function mismatch(digest: Digest, actual: string | null): BilletError {
  const is = actual === null ? 'not sealed' : `sha256:${actual}`;
  return new BilletError('DIGEST_MISMATCH', `the image ${digest} in the store is ${is}`, {
    hint: 'somebody changed the store: remove the file, it is composed again',
    details: { expected: digest, actual },
  });
}
