// An ObjectSink that hands file content to the object threads, many small files or a piece of a
// large one at a time. Decides which thread gets what, and holds the reader back when they are busy.

import type { ObjectSink } from '#shared/artifact/composefs/object-sink.ts';
import type { Segment } from './messages.ts';
import type { ObjectThreads } from './threads.ts';

export interface Ingest extends ObjectSink {
  /** Objects that were stored. */
  readonly objects: number;
  /** After the last `end`, or after an error: nothing of it stays open or in the temporary folder. */
  close(): Promise<void>;
}

interface Slab {
  readonly thread: number;
  readonly buffer: SharedArrayBuffer;
  readonly segments: Segment[];
  readonly dropped: number[];
  used: number;
}

interface Waiting {
  readonly resolve: (digestHex: string) => void;
  readonly reject: (error: unknown) => void;
}

const SLAB_BYTES = 1024 * 1024;
/** On their way to each thread. */
const SLABS_IN_FLIGHT = 6;

export function startIngest(threads: ObjectThreads, name: string): Ingest {
  // Shared and used again: slabs that change hands would each be garbage.
  const free: SharedArrayBuffer[] = [];
  const inFlight = Array.from({ length: threads.count }, () => 0);
  const waiting = new Map<number, Waiting>();
  const idle = new Set<() => void>();
  let failure: { readonly error: unknown } | null = null;
  let slab: Slab | null = null;
  let flushing = false;
  let files = 0;
  let objects = 0;
  const held = threads.hold();

  const leastBusy = (): number => inFlight.indexOf(Math.min(...inFlight));

  const newSlab = (thread: number): Slab => ({
    thread,
    buffer: free.pop() ?? new SharedArrayBuffer(SLAB_BYTES),
    segments: [],
    dropped: [],
    used: 0,
  });

  function fail(error: unknown): void {
    failure ??= { error };
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  }

  async function send({ thread, buffer, segments, dropped }: Slab): Promise<void> {
    inFlight[thread] = (inFlight[thread] ?? 0) + 1;
    try {
      const request = {
        kind: 'write',
        ingest: `${name}-${thread}`,
        buffer,
        segments,
        dropped,
      } as const;
      const written = await threads.ask(thread, request);
      for (const [file, digestHex] of written.ended) {
        objects += 1;
        waiting.get(file)?.resolve(digestHex);
        waiting.delete(file);
      }
    } catch (error) {
      fail(error);
    } finally {
      free.push(buffer);
      inFlight[thread] = (inFlight[thread] ?? 0) - 1;
      for (const wake of idle) wake();
      idle.clear();
    }
  }

  function flush(): void {
    const full = slab;
    slab = null;
    if (full !== null && full.segments.length + full.dropped.length > 0) void send(full);
  }

  /** What came in one turn of the event loop goes together; nothing waits for a slab to fill. */
  function flushSoon(): void {
    if (flushing) return;
    flushing = true;
    setImmediate(() => {
      flushing = false;
      flush();
    });
  }

  const someoneIdle = () => new Promise<void>((resolve) => idle.add(resolve));

  async function untilRoom(thread: number): Promise<void> {
    while (failure === null && (inFlight[thread] ?? 0) >= SLABS_IN_FLIGHT) await someoneIdle();
  }

  function beginFile() {
    const file = files++;
    // Its pieces stay on one thread, in order.
    let thread: number | null = null;

    /** The slab that this file goes on in. */
    function slabFor(): Slab {
      if (slab !== null && (slab.used === SLAB_BYTES || slab.thread !== (thread ?? slab.thread)))
        flush();
      slab ??= newSlab(thread ?? leastBusy());
      thread = slab.thread;
      flushSoon();
      return slab;
    }

    /** Copies what fits; the number of bytes that did. */
    function put(chunk: Uint8Array, last: boolean): number {
      if (failure !== null) throw failure.error;
      const target = slabFor();
      const length = Math.min(chunk.length, SLAB_BYTES - target.used);
      new Uint8Array(target.buffer, target.used, length).set(chunk.subarray(0, length));
      target.segments.push({ file, offset: target.used, length, last });
      target.used += length;
      return length;
    }

    const isBusy = () => thread !== null && (inFlight[thread] ?? 0) >= SLABS_IN_FLIGHT;

    async function writeSlowly(chunk: Uint8Array): Promise<void> {
      for (let done = 0; done < chunk.length; ) {
        await untilRoom(thread ?? 0);
        done += put(chunk.subarray(done), false);
      }
    }

    return {
      write(chunk: Uint8Array): void | Promise<void> {
        for (let done = 0; done < chunk.length; ) {
          if (isBusy()) return writeSlowly(chunk.subarray(done));
          done += put(chunk.subarray(done), false);
        }
      },
      end(): Promise<string> {
        const stored = new Promise<string>((resolve, reject) => {
          waiting.set(file, { resolve, reject });
        });
        // A reader that failed elsewhere does not wait for the files before.
        stored.catch(() => undefined);
        try {
          put(new Uint8Array(0), true);
        } catch (error) {
          waiting.get(file)?.reject(error);
          waiting.delete(file);
        }
        return stored;
      },
      async abort(): Promise<void> {
        if (thread !== null && failure === null) slabFor().dropped.push(file);
      },
    };
  }

  return {
    get objects() {
      return objects;
    },
    begin: () => beginFile(),
    async close() {
      flush();
      while (inFlight.some((count) => count > 0)) await someoneIdle();
      const drops = inFlight.map((_, thread) =>
        threads.ask(thread, { kind: 'drop', ingest: `${name}-${thread}` }),
      );
      try {
        await Promise.all(drops);
      } finally {
        held.release();
      }
    },
  };
}
