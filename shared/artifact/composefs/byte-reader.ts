// Pulls exact numbers of bytes out of a stream of chunks, copying only across chunk borders.
// Knows no format.

export interface ByteReader {
  /** Exactly `bytes` bytes, fewer at the end of the stream. A view where one chunk has them all. */
  take(bytes: number): Promise<Buffer>;
  /** What the current chunk holds, at most `max` bytes, never copied; empty at the end. */
  some(max: number): Promise<Buffer>;
  /** Reads on to the end, so that whoever hashes the stream sees all of it. */
  drain(): Promise<void>;
  /** Tells the source that no more will be read. */
  close(): Promise<void>;
}

export function byteReader(source: AsyncIterable<Uint8Array>): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let chunk: Buffer = Buffer.alloc(0);
  let ended = false;

  /** False at the end of the stream. */
  const fill = async (): Promise<boolean> => {
    while (chunk.length === 0 && !ended) {
      const next = await iterator.next();
      if (next.done) ended = true;
      else chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
    }
    return chunk.length > 0;
  };

  const some = async (max: number): Promise<Buffer> => {
    if (chunk.length === 0) await fill();
    const piece = chunk.subarray(0, max);
    chunk = chunk.subarray(piece.length);
    return piece;
  };

  const take = async (bytes: number): Promise<Buffer> => {
    const first = await some(bytes);
    if (first.length === bytes || first.length === 0) return first;
    const pieces = [first];
    let missing = bytes - first.length;
    while (missing > 0) {
      const piece = await some(missing);
      if (piece.length === 0) break;
      pieces.push(piece);
      missing -= piece.length;
    }
    return Buffer.concat(pieces);
  };

  const drain = async (): Promise<void> => {
    do chunk = Buffer.alloc(0);
    while (await fill());
  };

  const close = async (): Promise<void> => {
    ended = true;
    await iterator.return?.();
  };

  return { take, some, drain, close };
}
