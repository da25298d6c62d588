// Bytes of a stream as they come, for as long as somebody wants them.

export interface ConsoleSource {
  /** As a person names it. */
  readonly name: string;
  /** Ends with the console, and when `signal` aborts. */
  read(signal: AbortSignal): AsyncIterable<Buffer>;
}

/** A stream until its end or the abort, whichever comes first. */
export async function* chunks(
  stream: NodeJS.ReadableStream,
  signal: AbortSignal,
): AsyncIterable<Buffer> {
  const stopped = Promise.withResolvers<null>();
  const stop = () => stopped.resolve(null);
  signal.addEventListener('abort', stop, { once: true });
  const iterator = stream[Symbol.asyncIterator]();
  try {
    while (!signal.aborted) {
      const next = iterator.next();
      // After an abort nobody waits for it any more.
      next.catch(() => undefined);
      const item = await Promise.race([next, stopped.promise]);
      if (item === null || item.done === true) return;
      yield Buffer.from(item.value);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    if ('destroy' in stream) (stream as { destroy(): void }).destroy();
  }
}
