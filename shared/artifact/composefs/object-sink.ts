// Where file content goes while a layer is read: the contract, and a sink that only measures.
// Stores nothing itself; the object store on disk implements the same interface.

import { fsverityHasher } from './fsverity.ts';

/** Where content over 64 bytes goes while a layer is read. */
export interface ObjectSink {
  /** One call for each file, in the order of the stream. `sizeBytes` is exact. */
  begin(sizeBytes: number): ObjectWriter;
}

export interface ObjectWriter {
  /** The chunk must be consumed (or copied) before the returned promise resolves. */
  write(chunk: Uint8Array): void | Promise<void>;
  /**
   * Resolves with the fs-verity digest (64 hex digits) when the object is stored. The reader does
   * not wait for it before beginning the next file (a bounded number is in flight).
   */
  end(): Promise<string>;
  /** The content will not be completed: drop what was written. Idempotent. */
  abort(): Promise<void>;
}

/** A sink that stores nothing: it computes the digests and forgets the content. */
export function digestSink(): ObjectSink {
  return {
    begin: () => {
      const hasher = fsverityHasher();
      return {
        write: (chunk) => hasher.update(chunk),
        end: async () => hasher.digest().toString('hex'),
        abort: async () => {},
      };
    },
  };
}
