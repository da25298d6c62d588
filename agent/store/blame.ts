// Whose fault is a layer that cannot be unpacked? Layers are unpacked while they arrive, before their
// digest is known: what looks like a broken tar may be other bytes than were asked for.

import { BilletError, type Code } from '#shared/errors.ts';

/** What other bytes than the layer's look like. */
const OF_CONTENT: ReadonlySet<Code> = new Set<Code>([
  'LAYER_TOO_LARGE',
  'OCI_INVALID',
  'PATH_ESCAPE',
  'TAR_INVALID',
]);

export interface Blamed {
  /** The blob, for one reader. Ending it early does not end the transfer. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Reads the rest, and throws what the blob ends with; where it is the right one, `error`. */
  blame(error: unknown): Promise<never>;
}

/** `blob` ends with DIGEST_MISMATCH unless it is what was asked for. */
export function blamed(blob: AsyncIterable<Uint8Array>): Blamed {
  const iterator = blob[Symbol.asyncIterator]();
  return {
    chunks: { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) },
    async blame(error) {
      const isContent = error instanceof BilletError && OF_CONTENT.has(error.code);
      if (!isContent) await iterator.return?.();
      else for (let next = await iterator.next(); !next.done; ) next = await iterator.next();
      throw error;
    },
  };
}
