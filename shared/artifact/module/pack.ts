// Makes an image of one zstd layer from a tar of files: what a build recipe needs before sealing.
// The same tar, level and settings give the same bytes. Looks into no file of the tar.

import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Digest, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { writeAll } from '../oci/durable-file.ts';
import type { Layout } from '../oci/layout.ts';
import { type LayerCompression, MEDIA } from '../oci/media-types.ts';
import type { Descriptor } from '../oci/schema.ts';
import { unpack } from './layer-stream.ts';
import { zstdFrames } from './zstd-frames.ts';

export interface PackRequest {
  readonly layout: Layout;
  readonly tag: string;
  /** A tar, plain or packed with gzip or zstd, as its first bytes say. */
  readonly tar: AsyncIterable<Uint8Array>;
  /** Of Go: `amd64`, `arm64`. */
  readonly architecture: string;
  /** zstd level, 1 to 22. */
  readonly level: number;
  readonly onProgress?: ((tarBytes: number) => void) | undefined;
}

export interface Packed {
  readonly manifest: Descriptor;
  readonly layer: Descriptor;
  readonly diffId: Digest;
}

/** Writes layer, config and manifest, and points the tag at it. An image with no labels yet. */
export async function packImage(request: PackRequest): Promise<Packed> {
  const { layout, tag, architecture } = request;
  const { layer, diffId } = await storeLayer(request);
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created_by: 'billet module pack' }],
    }),
  );
  const descriptor = { mediaType: MEDIA.config, digest: sha256(config), size: config.length };
  await layout.putBlob(descriptor, () => once(config));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: descriptor,
    layers: [layer],
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  return { manifest: await layout.putManifest(bytes, MEDIA.manifest, tag), layer, diffId };
}

/** Compresses into a file of the layout whose name is known only at the end. */
async function storeLayer({ layout, tar, level, onProgress }: PackRequest) {
  const staging = join(layout.dir, 'blobs', '.staging');
  await mkdir(staging, { recursive: true });
  const path = join(staging, randomUUID());
  const [content, packed] = [createHash('sha256'), createHash('sha256')];
  let [tarBytes, size] = [0, 0];
  const hashed = async function* () {
    for await (const chunk of plain(tar)) {
      content.update(chunk);
      tarBytes += chunk.length;
      onProgress?.(tarBytes);
      yield chunk;
    }
    if (tarBytes === 0) throw empty();
  };
  try {
    const file = await open(path, 'wx', 0o644);
    try {
      for await (const frame of zstdFrames(hashed(), level)) {
        packed.update(frame);
        size += frame.length;
        await writeAll(file, frame);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    const digest = Digest.parse(`sha256:${packed.digest('hex')}`);
    await layout.adoptBlob(digest, path);
    const layer: Descriptor = { mediaType: MEDIA.layerZstd, digest, size };
    return { layer, diffId: Digest.parse(`sha256:${content.digest('hex')}`) };
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Unpacks what is packed: gzip and zstd begin with their magic numbers. */
async function* plain(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const iterator = tar[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  while (heldBytes < 4) {
    const next = await iterator.next();
    if (next.done) break;
    held.push(next.value);
    heldBytes += next.value.length;
  }
  const all = async function* () {
    yield* held;
    yield* { [Symbol.asyncIterator]: () => iterator };
  };
  yield* unpack(all(), compressionOfStart(Buffer.concat(held)), { digest: sha256('') });
}

function compressionOfStart(start: Buffer): LayerCompression {
  if (start.subarray(0, 2).equals(Buffer.of(0x1f, 0x8b))) return 'gzip';
  return start.subarray(0, 4).equals(Buffer.of(0x28, 0xb5, 0x2f, 0xfd)) ? 'zstd' : 'none';
}

const empty = () =>
  new BilletError('TAR_INVALID', 'the tar is empty', { hint: 'check the command that writes it' });

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
