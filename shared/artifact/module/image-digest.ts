// The composefs digest of an image's files and the sizes of its layers, measured. Stores no file.

import { type Digest, digestOfHex } from '../../digest.ts';
import { writeErofs } from '../composefs/erofs.ts';
import { fsverityHex } from '../composefs/fsverity.ts';
import { type Layer, readLayer } from '../composefs/layer.ts';
import { treeOfLayers } from '../composefs/layer-apply.ts';
import { digestSink } from '../composefs/object-sink.ts';
import type { Descriptor } from '../oci/schema.ts';
import type { ArtifactSource, BlobOptions } from '../oci/source.ts';
import { layerTar } from './layer-stream.ts';

export interface MeasuredImage {
  readonly digest: Digest;
  /** Bytes of the tar in each layer. */
  readonly unpackedBytes: readonly number[];
}

/**
 * The fs-verity digest of the EROFS image of all layers, lowest first; `diffIds` beside them. Throws
 * DIGEST_MISMATCH, OCI_INVALID, TAR_INVALID, PATH_ESCAPE. `onProgress` counts layer bytes of all.
 */
export async function imageDigestOf(
  source: ArtifactSource,
  layers: readonly Descriptor[],
  diffIds: readonly Digest[],
  { signal, onProgress }: BlobOptions = {},
): Promise<MeasuredImage> {
  const read: Layer[] = [];
  const unpackedBytes: number[] = [];
  let beforeBytes = 0;
  for (const [index, layer] of layers.entries()) {
    const startBytes = beforeBytes;
    const tar = layerTar(source, layer, diffIds[index] as Digest, {
      signal,
      onProgress: (bytes) => onProgress?.(startBytes + bytes),
    });
    let bytes = 0;
    const counted = async function* () {
      for await (const chunk of tar) {
        bytes += chunk.length;
        yield chunk;
      }
    };
    read.push(await readLayer(counted(), digestSink()));
    unpackedBytes.push(bytes);
    beforeBytes += layer.size;
  }
  const digest = digestOfHex(fsverityHex(writeErofs(treeOfLayers(read))));
  return { digest, unpackedBytes };
}
