// Where artifacts are read from and written to: a layout on disk or a registry. Interfaces only, so
// that signing, verifying, inspecting and copying work the same on both.

import type { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import type { Descriptor } from './schema.ts';

export interface ManifestContent {
  /** Exactly the bytes that `digest` covers. */
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly mediaType: string;
}

export interface BlobOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes handed over so far, after each chunk. */
  readonly onProgress?: ((receivedBytes: number) => void) | undefined;
}

export interface ArtifactSource {
  /** For messages: a directory or `host/repository`. */
  readonly name: string;
  /** The descriptor behind a tag or a digest, or null if there is none. */
  resolve(reference: string): Promise<Descriptor | null>;
  /**
   * The manifest or index behind a tag or a digest. The bytes are those of `digest` (for a digest
   * reference: of that digest), at most MANIFEST_LIMIT_BYTES. Throws NOT_FOUND, DIGEST_MISMATCH.
   */
  manifest(reference: string): Promise<ManifestContent>;
  /**
   * The content of a blob, in order. Bytes are unverified until the iteration ends: a longer stream
   * than `descriptor.size` or another digest ends it with DIGEST_MISMATCH, a missing one NOT_FOUND.
   */
  blob(descriptor: Descriptor, options?: BlobOptions): AsyncIterable<Uint8Array>;
  /** Manifests whose `subject` is `digest`, by the referrers API or its tag fallback. */
  referrers(digest: Digest, artifactType?: string): Promise<readonly Descriptor[]>;
  tags(): Promise<readonly string[]>;
}

export interface PutBlobOptions extends BlobOptions {
  /** A repository of the same registry that has the blob: it is mounted if the registry agrees. */
  readonly mountFrom?: string | undefined;
}

export interface ArtifactTarget extends ArtifactSource {
  hasBlob(digest: Digest): Promise<boolean>;
  /**
   * Stores a blob unless it is there. `content` is called once for each attempt. Nothing is visible
   * before size and digest are right (else DIGEST_MISMATCH).
   */
  putBlob(
    descriptor: Descriptor,
    content: () => AsyncIterable<Uint8Array>,
    options?: PutBlobOptions,
  ): Promise<void>;
  /**
   * Stores a manifest or index, and points `tag` at it. Its blobs have to be there. One with a
   * `subject` is listed as a referrer from then on.
   */
  putManifest(bytes: Uint8Array, mediaType: string, tag?: string): Promise<Descriptor>;
}

/** The whole of a small blob, verified. Throws OCI_INVALID when it is over `limitBytes`. */
export async function readBlob(
  source: ArtifactSource,
  descriptor: Descriptor,
  limitBytes: number,
): Promise<Uint8Array> {
  if (descriptor.size > limitBytes)
    throw new BilletError(
      'OCI_INVALID',
      `${descriptor.digest} has ${descriptor.size} bytes, at most ${limitBytes} are read here`,
      { hint: 'this is no config or signature; look at it with `skopeo inspect --raw`' },
    );
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.blob(descriptor)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
