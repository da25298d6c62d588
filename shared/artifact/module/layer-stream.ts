// The tar inside a layer: verified while it is read (the blob's digest and the digest of what it
// unpacks to) and bounded. Does not look into the tar.

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { constants, createGunzip, createZstdDecompress } from 'node:zlib';
import type { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { compressionOf, type LayerCompression } from '../oci/media-types.ts';
import type { Descriptor } from '../oci/schema.ts';
import type { ArtifactSource, BlobOptions } from '../oci/source.ts';

const CHUNK_BYTES = 1 << 20;
/** 128 MiB of window: the most that a zstd frame may ask a reader to hold. */
const WINDOW_LOG_MAX = 27;

/**
 * The unpacked bytes of a layer. Unverified until the iteration ends; it ends with DIGEST_MISMATCH
 * if blob or content are not those named, OCI_INVALID if they cannot be unpacked.
 */
export async function* layerTar(
  source: ArtifactSource,
  layer: Descriptor,
  diffId: Digest,
  options?: BlobOptions,
): AsyncGenerator<Uint8Array, void> {
  const compression = compressionOf(layer.mediaType);
  if (compression === null) throw invalid(layer, `its media type is ${layer.mediaType}`);
  const hash = createHash('sha256');
  for await (const chunk of unpack(source.blob(layer, options), compression, layer)) {
    hash.update(chunk);
    yield chunk;
  }
  const actual = `sha256:${hash.digest('hex')}`;
  if (actual !== diffId)
    throw new BilletError(
      'DIGEST_MISMATCH',
      `layer ${layer.digest} unpacks to ${actual}, not ${diffId}`,
      {
        hint: 'the config and the layers do not belong together: build the image again',
        details: { layer: layer.digest, expected: diffId, actual },
      },
    );
}

/** Unpacks a stream. Errors of the stream itself pass through; damaged data is OCI_INVALID. */
export async function* unpack(
  packed: AsyncIterable<Uint8Array>,
  compression: LayerCompression,
  layer: Pick<Descriptor, 'digest'>,
): AsyncGenerator<Uint8Array, void> {
  if (compression === 'none') {
    yield* packed;
    return;
  }
  const unpacker =
    compression === 'gzip'
      ? createGunzip({ chunkSize: CHUNK_BYTES })
      : createZstdDecompress({
          chunkSize: CHUNK_BYTES,
          params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX },
        });
  const input = Readable.from(packed, { objectMode: true, highWaterMark: 2 });
  input.on('error', (error) => unpacker.destroy(error));
  try {
    yield* input.pipe(unpacker);
  } catch (cause) {
    if (
      cause instanceof Error &&
      'errno' in cause &&
      'code' in cause &&
      /^(Z_|ZSTD_)/.test(String(cause.code))
    )
      throw invalid(layer, `it cannot be unpacked: ${cause.message}`, cause);
    throw cause;
  } finally {
    input.destroy();
    unpacker.destroy();
  }
}

const invalid = (layer: Pick<Descriptor, 'digest'>, why: string, cause?: unknown): BilletError =>
  new BilletError('OCI_INVALID', `layer ${layer.digest} cannot be read: ${why}`, {
    hint: 'layers are tar, tar+gzip or tar+zstd; build and push the image again',
    cause,
  });
