// Compresses a stream with zstd on all cores: pieces of fixed size, a frame each (RFC 8878 §3: frames
// may follow each other). The bytes depend on content and level only, never on the number of cores.
// node:zlib's own ZSTD_c_nbWorkers is not used: Node 26 drops the end of such streams.

import { promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';

const FRAME_BYTES = 8 << 20;
const IN_FLIGHT = 4;

const compress = promisify(zstdCompress);

export async function* zstdFrames(
  chunks: AsyncIterable<Uint8Array>,
  level: number,
): AsyncGenerator<Buffer, void> {
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  const frames: Promise<Buffer>[] = [];
  try {
    for await (const piece of pieces(chunks)) {
      frames.push(compress(piece, { params }));
      if (frames.length >= IN_FLIGHT) yield await (frames.shift() as Promise<Buffer>);
    }
    while (frames.length > 0) yield await (frames.shift() as Promise<Buffer>);
  } finally {
    await Promise.allSettled(frames);
  }
}

/** Pieces of FRAME_BYTES, the last one shorter; one empty piece for an empty stream. */
async function* pieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void> {
  let piece = Buffer.allocUnsafe(FRAME_BYTES);
  let filled = 0;
  let any = false;
  for await (const chunk of chunks)
    for (let offset = 0; offset < chunk.length; ) {
      const taken = Math.min(chunk.length - offset, FRAME_BYTES - filled);
      piece.set(chunk.subarray(offset, offset + taken), filled);
      offset += taken;
      filled += taken;
      if (filled < FRAME_BYTES) continue;
      yield piece;
      any = true;
      piece = Buffer.allocUnsafe(FRAME_BYTES);
      filled = 0;
    }
  if (filled > 0 || !any) yield piece.subarray(0, filled);
}
