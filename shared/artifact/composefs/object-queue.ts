// Objects on their way into a sink: written one after the other, finished side by side.
// Knows nothing of layers.

import type { ObjectSink, ObjectWriter } from './object-sink.ts';

/** How many written objects may still be unfinished: enough to keep hashing threads busy. */
const IN_FLIGHT_MAX = 64;

export interface QueuedObject {
  write(chunk: Uint8Array): void | Promise<void>;
  /** Returns the digest's getter, which works after `settle`. */
  end(): () => string;
}

export interface ObjectQueue {
  /** Waits while too many are unfinished. Errors: those of objects that failed meanwhile. */
  begin(sizeBytes: number): Promise<QueuedObject>;
  /** All objects are stored. Errors: the first that one of them met. */
  settle(): Promise<void>;
  /** Drops the object that is being written and waits for those that are ending. */
  abort(): Promise<void>;
}

export function objectQueue(sink: ObjectSink): ObjectQueue {
  const ending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | null = null;
  let writing: ObjectWriter | null = null;

  const raise = (): void => {
    if (failure) throw failure.error;
  };

  const begin = async (sizeBytes: number): Promise<QueuedObject> => {
    while (ending.size >= IN_FLIGHT_MAX) await Promise.race(ending);
    raise();
    const writer = sink.begin(sizeBytes);
    writing = writer;
    return {
      write: (chunk) => writer.write(chunk),
      end: () => {
        let digest = '';
        writing = null;
        const done = writer.end().then(
          (hex) => {
            digest = hex;
          },
          (error: unknown) => {
            failure ??= { error };
          },
        );
        const tracked = done.finally(() => ending.delete(tracked));
        ending.add(tracked);
        return () => digest;
      },
    };
  };

  const settle = async (): Promise<void> => {
    await Promise.all(ending);
    raise();
  };

  const abort = async (): Promise<void> => {
    await writing?.abort();
    writing = null;
    await Promise.all(ending);
  };

  return { begin, settle, abort };
}
