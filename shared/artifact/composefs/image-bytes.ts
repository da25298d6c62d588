// Bounds-checked reads from an image that nobody vouches for. Every error is COMPOSEFS_FORMAT.

import { formatError } from './format-error.ts';

export interface ImageBytes {
  readonly sizeBytes: number;
  /** The bytes themselves, not a copy. */
  slice(offset: number, bytes: number): Buffer;
  u8(offset: number): number;
  u16(offset: number): number;
  u32(offset: number): number;
  /** Errors: COMPOSEFS_FORMAT over 2^53. */
  u64(offset: number): number;
  i64(offset: number): number;
  /**
   * Counts bytes that belong to one inode alone. Their sum can't exceed the image, so an image
   * whose parts overlap ends here, before it costs more than its size.
   */
  claim(bytes: number): void;
}

export function imageBytes(image: Buffer): ImageBytes {
  let claimed = 0;
  const at = (offset: number, bytes: number): number => {
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= image.length))
      throw formatError(`bytes ${offset} to ${offset + bytes} of an image of ${image.length}`);
    return offset;
  };
  const safe = (value: bigint): number => {
    if (!Number.isSafeInteger(Number(value))) throw formatError(`the number ${value} in an image`);
    return Number(value);
  };
  return {
    sizeBytes: image.length,
    slice: (offset, bytes) => image.subarray(at(offset, bytes), offset + bytes),
    u8: (offset) => image.readUInt8(at(offset, 1)),
    u16: (offset) => image.readUInt16LE(at(offset, 2)),
    u32: (offset) => image.readUInt32LE(at(offset, 4)),
    u64: (offset) => safe(image.readBigUInt64LE(at(offset, 8))),
    i64: (offset) => safe(image.readBigInt64LE(at(offset, 8))),
    claim: (bytes) => {
      claimed += bytes;
      if (claimed > image.length) throw formatError('an image whose parts overlap');
    },
  };
}
