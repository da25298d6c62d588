// Copies an image with its signatures from one place to another: blobs side by side, then the
// manifest that needs them, then what signs it. What is there already is not sent again.

import type { Digest } from '../../digest.ts';
import { type Descriptor, parseManifest } from './schema.ts';
import type { ArtifactSource, ArtifactTarget, ManifestContent } from './source.ts';

const PARALLEL = 4;
/** Signatures are images too: of them only content is copied, not what signs them in turn. */
const MAX_DEPTH = 4;

export interface CopyRequest {
  readonly source: ArtifactSource;
  readonly target: ArtifactTarget;
  /** Tag or digest at the source. */
  readonly reference: string;
  /** Tag at the target; without one only the digest names it. */
  readonly tag?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes done of all blobs that the image names; blobs that were there count as done. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface Copied {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Manifests of signatures and other referrers that came along. */
  readonly attached: readonly Digest[];
}

/** Copies image, `.sig` tag and referrers. Nothing is tagged before everything below it is there. */
export async function copyArtifact(request: CopyRequest): Promise<Copied> {
  const { source, tag } = request;
  const content = await source.manifest(request.reference);
  await copyManifest(request, content, tag, 0);
  const attached: Digest[] = [];
  for (const referrer of await source.referrers(content.digest)) {
    await copyManifest(
      { ...request, onProgress: undefined },
      await source.manifest(referrer.digest),
      undefined,
      1,
    );
    attached.push(referrer.digest);
  }
  const sigTag = `${content.digest.replace(':', '-')}.sig`;
  const signature = await source.resolve(sigTag);
  if (signature !== null) {
    const bytes = await source.manifest(signature.digest);
    await copyManifest({ ...request, onProgress: undefined }, bytes, sigTag, 1);
    attached.push(signature.digest);
  }
  return { digest: content.digest, mediaType: content.mediaType, attached };
}

async function copyManifest(
  request: CopyRequest,
  content: ManifestContent,
  tag: string | undefined,
  depth: number,
): Promise<void> {
  const parsed = parseManifest(content.bytes, content.mediaType, content.digest);
  if ('image' in parsed) await copyBlobs(request, [parsed.image.config, ...parsed.image.layers]);
  else if (depth < MAX_DEPTH)
    for (const child of parsed.index.manifests)
      await copyManifest(
        request,
        await request.source.manifest(child.digest),
        undefined,
        depth + 1,
      );
  await request.target.putManifest(content.bytes, content.mediaType, tag);
}

/** Each blob once, `PARALLEL` at a time. The first failure ends the others. */
async function copyBlobs(request: CopyRequest, listed: readonly Descriptor[]): Promise<void> {
  const blobs = [...new Map(listed.map((blob) => [blob.digest, blob])).values()];
  const totalBytes = blobs.reduce((sum, blob) => sum + blob.size, 0);
  const done = new Map<Digest, number>();
  const failed = new AbortController();
  const signal = request.signal ? AbortSignal.any([request.signal, failed.signal]) : failed.signal;
  const report = (blob: Descriptor, bytes: number) => {
    done.set(blob.digest, bytes);
    request.onProgress?.(
      [...done.values()].reduce((sum, each) => sum + each, 0),
      totalBytes,
    );
  };
  const queue = blobs.values();
  const worker = async () => {
    for (const blob of queue) {
      signal.throwIfAborted();
      const content = () => request.source.blob(blob, { signal });
      const onProgress = (bytes: number) => report(blob, bytes);
      await request.target.putBlob(blob, content, { signal, onProgress });
      report(blob, blob.size);
    }
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, worker));
  } finally {
    failed.abort();
  }
}
