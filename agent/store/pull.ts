// Layers of a verified module into a tree: download, decompression, unpacking, writing and sealing
// of different parts run at the same time. Writes objects; makes nothing refer to them.

import { randomUUID } from 'node:crypto';
import { type Layer, readLayer } from '#shared/artifact/composefs/layer.ts';
import { treeOfLayers } from '#shared/artifact/composefs/layer-apply.ts';
import type { Tree } from '#shared/artifact/composefs/tree.ts';
import { unpack } from '#shared/artifact/module/layer-stream.ts';
import { atMost, unpackedLimit } from '#shared/artifact/module/unpacked-size.ts';
import { compressionOf } from '#shared/artifact/oci/media-types.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { BilletError } from '#shared/errors.ts';
import { blamed } from './blame.ts';
import { startIngest } from './slab-sink.ts';
import type { ObjectThreads } from './threads.ts';

export interface PullRequest {
  readonly source: ArtifactSource;
  readonly layers: readonly Descriptor[];
  readonly threads: ObjectThreads;
  readonly signal: AbortSignal;
  readonly onProgress?: ((bytesDone: number, bytesTotal: number) => void) | undefined;
}

/** Downloads side by side: more would share the same line and the same two threads. */
const LAYERS_AT_ONCE = 2;

/**
 * The tree of the layers, with all its objects stored. What the layers unpack to is not compared
 * with the config's diff_ids: the caller compares the digest of the whole image with a signed one,
 * which covers every name, mode, time and byte that a node will see, over all layers. Throws
 * DIGEST_MISMATCH for other bytes than the layers' (whatever they unpack to), LAYER_TOO_LARGE,
 * TAR_INVALID, PATH_ESCAPE, OCI_INVALID, STORE_FULL, and what the source throws.
 */
export async function pullTree(request: PullRequest): Promise<Tree> {
  const { layers, signal, onProgress } = request;
  const bytesTotal = layers.reduce((sum, { size }) => sum + size, 0);
  const received = layers.map(() => 0);
  const abort = new AbortController();
  const both = AbortSignal.any([signal, abort.signal]);
  const next = layers.entries();
  const read: Layer[] = [];

  async function takeLayers(): Promise<void> {
    for (const [index, layer] of next) {
      const onBytes = (bytes: number): void => {
        received[index] = bytes;
        onProgress?.(
          received.reduce((sum, each) => sum + each, 0),
          bytesTotal,
        );
      };
      read[index] = await pullLayer(request, layer, both, onBytes);
    }
  }

  const takers = Array.from({ length: LAYERS_AT_ONCE }, takeLayers);
  try {
    await Promise.all(takers);
  } catch (error) {
    abort.abort(error);
    await Promise.allSettled(takers);
    throw error;
  }
  return treeOfLayers(read);
}

async function pullLayer(
  { source, threads }: PullRequest,
  layer: Descriptor,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<Layer> {
  signal.throwIfAborted();
  const compression = compressionOf(layer.mediaType);
  if (compression === null)
    throw new BilletError(
      'OCI_INVALID',
      `layer ${layer.digest} has media type ${layer.mediaType}`,
      {
        hint: 'layers are tar, tar+gzip or tar+zstd; build and push the image again',
      },
    );
  const limitBytes = unpackedLimit(layer);
  const blob = blamed(source.blob(layer, { signal, onProgress }));
  const tar = atMost(limitBytes, unpack(blob.chunks, compression, layer), layer);
  const ingest = startIngest(threads, randomUUID());
  try {
    return await readLayer(tar, ingest);
  } catch (error) {
    return await blob.blame(error);
  } finally {
    await ingest.close();
  }
}
