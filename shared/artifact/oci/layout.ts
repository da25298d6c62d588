// An OCI image layout on disk: index.json, oci-layout, blobs/sha256/<hex> (image-spec v1.1,
// image-layout.md). Written so that skopeo and umoci read it. Expects one writing process; readers
// may be many, for every file is replaced whole.

import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, join, resolve as resolvePath } from 'node:path';
import { assertDigest, Digest, hexOf, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { syncDirectory } from '../../sync-directory.ts';
import { isAbsent, writeAll, writeDurably } from './durable-file.ts';
import {
  EMPTY_INDEX,
  entryFor,
  tagsOf,
  withManifest,
  withoutManifest,
  withoutTag,
} from './layout-index.ts';
import { openReferrers } from './layout-referrers.ts';
import {
  type Descriptor,
  ImageIndex,
  MANIFEST_LIMIT_BYTES,
  parseDocument,
  parseManifest,
} from './schema.ts';
import type { ArtifactTarget, BlobOptions, ManifestContent } from './source.ts';
import { digestVerifier, verified } from './verified.ts';

const CHUNK_BYTES = 1 << 20;
const INDEX_LIMIT_BYTES = 64 * 1024 * 1024;

export interface Layout extends ArtifactTarget {
  readonly dir: string;
  /** Where the blob is, or would be. */
  blobPath(digest: Digest): string;
  /** Bytes of a blob on disk, or null. */
  blobSize(digest: Digest): Promise<number | null>;
  /** Takes over a file of the same file system as a blob. The caller has checked its digest. */
  adoptBlob(digest: Digest, path: string): Promise<void>;
  /** Shares a blob with another layout by a hard link. False if that one has not got it. */
  linkBlob(digest: Digest, from: Layout): Promise<boolean>;
  /** These return false when there was nothing to remove. */
  removeTag(tag: string): Promise<boolean>;
  removeManifest(digest: Digest): Promise<boolean>;
  removeBlob(digest: Digest): Promise<boolean>;
}

/**
 * Opens the layout at `dir`, or with `create` makes an empty one. Throws NOT_FOUND when there is
 * none. Changes are on disk (fsync) when a promise resolves.
 */
export async function openLayout(dir: string, options: { create?: boolean } = {}): Promise<Layout> {
  const root = resolvePath(dir);
  if (options.create === true) await createLayout(root);
  else await assertLayout(root);

  const blobs = join(root, 'blobs', 'sha256');
  const staging = join(root, 'blobs', '.staging');
  const indexPath = join(root, 'index.json');
  const blobPath = (digest: Digest) => join(blobs, hexOf(digest));
  let lastWrite: Promise<unknown> = Promise.resolve();

  const readIndex = async (): Promise<ImageIndex> => {
    const bytes = await readLimited(indexPath, INDEX_LIMIT_BYTES);
    return bytes === null ? EMPTY_INDEX : parseDocument(ImageIndex, bytes, indexPath);
  };

  /** One change after the other: `change` sees what the one before wrote. */
  const updateIndex = (change: (index: ImageIndex) => ImageIndex): Promise<boolean> => {
    const write = lastWrite.then(async () => {
      const before = await readIndex();
      const after = change(before);
      if (JSON.stringify(after) === JSON.stringify(before)) return false;
      const bytes = Buffer.from(`${JSON.stringify(after)}\n`);
      await writeDurably(indexPath, staging, (file) => writeAll(file, bytes));
      return true;
    });
    lastWrite = write.catch(() => {}); // the caller gets the error; the next change starts afresh
    return write;
  };

  const blobSize = async (digest: Digest): Promise<number | null> => {
    try {
      return (await stat(blobPath(digest))).size;
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  };

  const readManifest = async (entry: Descriptor): Promise<ManifestContent> => {
    const bytes = await readLimited(blobPath(entry.digest), MANIFEST_LIMIT_BYTES);
    if (bytes === null) throw notFound(root, entry.digest);
    assertDigest(bytes, entry.digest, `manifest ${entry.digest} in ${root}`);
    return { bytes, digest: entry.digest, mediaType: entry.mediaType };
  };

  const resolve = async (reference: string) => entryFor(await readIndex(), reference);
  const referrers = openReferrers({ readIndex, readManifest });

  return {
    dir: root,
    name: root,
    blobPath,
    blobSize,
    resolve,
    referrers: referrers.of,
    tags: async () => tagsOf(await readIndex()),
    hasBlob: async (digest) => (await blobSize(digest)) !== null,

    async manifest(reference) {
      const byDigest = Digest.safeParse(reference);
      const entry = (await resolve(reference)) ?? (await unlisted(byDigest.data));
      if (entry === null) throw notFound(root, reference);
      return await readManifest(entry);
    },

    blob: (descriptor, blobOptions) =>
      verified(
        descriptor,
        readFileChunks(blobPath(descriptor.digest), root, descriptor.digest, blobOptions),
        root,
      ),

    async putBlob(descriptor, content, { onProgress, signal } = {}) {
      if ((await blobSize(descriptor.digest)) === descriptor.size) return;
      const verifier = digestVerifier(descriptor, 'the source');
      await writeDurably(blobPath(descriptor.digest), staging, async (file) => {
        for await (const chunk of content()) {
          signal?.throwIfAborted();
          verifier.update(chunk);
          await writeAll(file, chunk);
          onProgress?.(verifier.received);
        }
        verifier.finish();
      });
    },

    async putManifest(bytes, mediaType, tag) {
      const digest = sha256(bytes);
      parseManifest(bytes, mediaType, digest);
      if (bytes.length > MANIFEST_LIMIT_BYTES) throw tooLarge(digest, MANIFEST_LIMIT_BYTES);
      const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
      await writeDurably(blobPath(digest), staging, (file) => writeAll(file, bytes));
      await updateIndex((index) => withManifest(index, descriptor, tag));
      return descriptor;
    },

    async adoptBlob(digest, path) {
      await rename(path, blobPath(digest));
      await syncDirectory(blobs);
    },

    async linkBlob(digest, from) {
      if ((await blobSize(digest)) !== null) return true;
      await mkdir(staging, { recursive: true });
      const temporary = join(staging, randomUUID());
      try {
        await link(from.blobPath(digest), temporary);
        await rename(temporary, blobPath(digest));
      } catch (error) {
        if (isAbsent(error)) return false;
        throw error;
      }
      await syncDirectory(blobs);
      return true;
    },

    removeTag: (tag) => updateIndex((index) => withoutTag(index, tag)),
    async removeManifest(digest) {
      const removed = await updateIndex((index) => withoutManifest(index, digest));
      if (removed) await rm(blobPath(digest), { force: true });
      return removed;
    },
    async removeBlob(digest) {
      const existed = (await blobSize(digest)) !== null;
      await rm(blobPath(digest), { force: true });
      return existed;
    },
  };

  /** A manifest of an index that other tools wrote lies among the blobs, listed nowhere else. */
  async function unlisted(digest: Digest | undefined): Promise<Descriptor | null> {
    if (digest === undefined) return null;
    for (const outer of (await readIndex()).manifests) {
      const inner = await referrers.childOf(outer, digest);
      if (inner !== null) return inner;
    }
    return null;
  }
}

async function createLayout(root: string): Promise<void> {
  await mkdir(join(root, 'blobs', 'sha256'), { recursive: true });
  const files = { 'oci-layout': { imageLayoutVersion: '1.0.0' }, 'index.json': EMPTY_INDEX };
  for (const [name, content] of Object.entries(files)) {
    const path = join(root, name);
    if ((await readLimited(path, INDEX_LIMIT_BYTES)) !== null) continue;
    const bytes = Buffer.from(`${JSON.stringify(content)}\n`);
    await writeDurably(path, join(root, 'blobs', '.staging'), (file) => writeAll(file, bytes));
  }
}

async function assertLayout(root: string): Promise<void> {
  if ((await readLimited(join(root, 'oci-layout'), 4096)) !== null) return;
  throw new BilletError('NOT_FOUND', `${root} is no OCI image layout: it has no file oci-layout`, {
    hint: 'make one with `skopeo copy SOURCE oci:DIR:TAG` or `billet module pack`',
  });
}

/** A small file, or null if there is none. Throws OCI_INVALID over the limit. */
async function readLimited(path: string, limitBytes: number): Promise<Buffer | null> {
  try {
    if ((await stat(path)).size > limitBytes) throw tooLarge(basename(path), limitBytes);
    return await readFile(path);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

async function* readFileChunks(
  path: string,
  where: string,
  digest: Digest,
  { onProgress, signal }: BlobOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const file = await open(path).catch((error: unknown) => {
    throw isAbsent(error) ? notFound(where, digest) : error;
  });
  let receivedBytes = 0;
  for await (const chunk of file.createReadStream({ highWaterMark: CHUNK_BYTES, signal })) {
    receivedBytes += chunk.length;
    yield chunk;
    onProgress?.(receivedBytes);
  }
}

const notFound = (where: string, reference: string): BilletError =>
  new BilletError('NOT_FOUND', `${where} has no ${reference}`, {
    hint: 'list what it has with `billet module inspect` or `skopeo list-tags`',
    details: { where, reference },
  });

const tooLarge = (what: string, limitBytes: number): BilletError =>
  new BilletError('OCI_INVALID', `${what} is larger than ${limitBytes} bytes`, {
    hint: 'a manifest lists layers; put the data into a layer',
  });
