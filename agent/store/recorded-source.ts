// What a verification read, kept so that it can be done again without a network. Holds no verdict:
// a recording is judged each time as if it came from a stranger.

import { z } from 'zod';
import { Descriptor } from '#shared/artifact/oci/schema.ts';
import type { ArtifactSource, ManifestContent } from '#shared/artifact/oci/source.ts';
import { verified } from '#shared/artifact/oci/verified.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';

/** Answers of a source, by what was asked. Bytes are base64. */
export const Recording = z.object({
  resolved: z.record(z.string(), Descriptor.nullable()),
  manifests: z.record(z.string(), z.object({ bytes: z.base64(), mediaType: z.string() })),
  blobs: z.record(z.string(), z.base64()),
  referrers: z.record(z.string(), z.array(Descriptor)),
});
export type Recording = z.infer<typeof Recording>;

export interface Recorder {
  readonly source: ArtifactSource;
  recording(): Recording;
}

/** Blobs are kept whole in memory: for configs and signatures, not for layers. */
export function recordingSource(source: ArtifactSource): Recorder {
  const taken: Recording = { resolved: {}, manifests: {}, blobs: {}, referrers: {} };
  const keep = ({ bytes, digest, mediaType }: ManifestContent): void => {
    taken.manifests[digest] = { bytes: Buffer.from(bytes).toString('base64'), mediaType };
  };
  return {
    recording: () => taken,
    source: {
      name: source.name,
      async resolve(reference) {
        const found = await source.resolve(reference);
        taken.resolved[reference] = found;
        return found;
      },
      async manifest(reference) {
        const content = await source.manifest(reference);
        keep(content);
        return content;
      },
      async *blob(descriptor, options) {
        const chunks: Uint8Array[] = [];
        for await (const chunk of source.blob(descriptor, options)) {
          chunks.push(Buffer.from(chunk));
          yield chunk;
        }
        taken.blobs[descriptor.digest] = Buffer.concat(chunks).toString('base64');
      },
      async referrers(digest, artifactType) {
        const found = await source.referrers(digest, artifactType);
        taken.referrers[referrersKey(digest, artifactType)] = [...found];
        return found;
      },
      tags: () => source.tags(),
    },
  };
}

/** A source that knows what was recorded, and nothing else. */
export function recordedSource(name: string, recording: Recording): ArtifactSource {
  const missing = (what: string) =>
    new BilletError('NOT_FOUND', `${name} has no ${what}`, {
      hint: 'pull the module again',
    });
  return {
    name,
    resolve: async (reference) => recording.resolved[reference] ?? null,
    async manifest(reference) {
      const found = recording.manifests[reference];
      if (found === undefined) throw missing(`manifest ${reference}`);
      return {
        bytes: Buffer.from(found.bytes, 'base64'),
        digest: Digest.parse(reference),
        mediaType: found.mediaType,
      };
    },
    async *blob(descriptor) {
      const found = recording.blobs[descriptor.digest];
      if (found === undefined) throw missing(`blob ${descriptor.digest}`);
      yield* verified(descriptor, once(Buffer.from(found, 'base64')), name);
    },
    referrers: async (digest, artifactType) =>
      recording.referrers[referrersKey(digest, artifactType)] ?? [],
    tags: async () => [],
  };
}

const referrersKey = (digest: Digest, artifactType: string | undefined): string =>
  `${digest} ${artifactType ?? '*'}`;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
