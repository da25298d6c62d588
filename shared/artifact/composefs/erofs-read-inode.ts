// One inode of an image: its numbers, xattrs and data. Interprets no overlay xattr.

import * as format from './erofs-format.ts';
import { formatError } from './format-error.ts';
import type { ImageBytes } from './image-bytes.ts';

export interface Superblock {
  readonly rootNid: number;
  readonly metadataStart: number;
  readonly sharedXattrsStart: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
}

/** Refuses what is not an untransformed composefs image of versions 0 and 1 (tools 1.0.x). */
export function readSuperblock(image: ImageBytes): Superblock {
  const at = format.SUPER_OFFSET;
  if (image.sizeBytes < at + format.SUPER_BYTES || image.u32(0) !== format.COMPOSEFS_MAGIC)
    throw formatError('not a composefs image');
  const [header, flags, version] = [image.u32(4), image.u32(8), image.u32(12)];
  if (header !== format.COMPOSEFS_HEADER_VERSION || version > 1 || flags > format.FLAG_HAS_ACL)
    throw formatError(`composefs format ${header}.${version} with flags ${flags}`);
  if (image.u32(at) !== format.SUPER_MAGIC || image.u8(at + 12) !== format.BLOCK_BITS)
    throw formatError('no EROFS superblock with blocks of 4096 bytes');
  if (image.u32(at + 8) !== format.FEATURE_COMPAT || image.u32(at + 80) !== 0)
    throw formatError('an EROFS with features that composefs does not use');
  if (image.u32(at + 36) * format.BLOCK_BYTES !== image.sizeBytes)
    throw formatError(`${image.u32(at + 36)} blocks in an image of ${image.sizeBytes} bytes`);
  return {
    rootNid: image.u16(at + 14),
    mtimeSec: image.i64(at + 24),
    mtimeNsec: image.u32(at + 32),
    metadataStart: image.u32(at + 40) * format.BLOCK_BYTES,
    sharedXattrsStart: image.u32(at + 44) * format.BLOCK_BYTES,
  };
}

export interface RawInode {
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly sizeBytes: number;
  readonly rdev: number;
  readonly dataLayout: number;
  /** Own xattrs first, then the shared ones, as composefs-info lists them. */
  readonly xattrs: readonly (readonly [key: string, value: Buffer])[];
  /** Flat data in order: whole blocks, then the tail. Empty for chunked files. */
  readonly pieces: readonly Buffer[];
}

export function readInode(image: ImageBytes, superblock: Superblock, nid: number): RawInode {
  const offset = superblock.metadataStart + nid * format.SLOT_BYTES;
  const bits = image.u16(offset);
  const isCompact = (bits & 1) === 0;
  const dataLayout = bits >> 1;
  const headBytes = isCompact ? format.COMPACT_BYTES : format.EXTENDED_BYTES;
  image.claim(headBytes);
  const numbers = isCompact
    ? {
        nlink: image.u16(offset + 6),
        sizeBytes: image.u32(offset + 8),
        uid: image.u16(offset + 24),
        gid: image.u16(offset + 26),
        mtimeSec: superblock.mtimeSec,
        mtimeNsec: superblock.mtimeNsec,
      }
    : {
        nlink: image.u32(offset + 44),
        sizeBytes: image.u64(offset + 8),
        uid: image.u32(offset + 24),
        gid: image.u32(offset + 28),
        mtimeSec: image.i64(offset + 32),
        mtimeNsec: image.u32(offset + 40),
      };
  if (numbers.mtimeNsec > 999_999_999) throw formatError(`${numbers.mtimeNsec} nanoseconds`);
  const xattrs = readXattrs(image, superblock, offset + headBytes, image.u16(offset + 2));
  const tail = offset + headBytes + xattrs.sizeBytes;
  return {
    ...numbers,
    mode: image.u16(offset + 4),
    rdev: image.u32(offset + 16),
    dataLayout,
    xattrs: xattrs.list,
    pieces: readPieces(image, dataLayout, numbers.sizeBytes, image.u32(offset + 16), tail),
  };
}

function readPieces(
  image: ImageBytes,
  dataLayout: number,
  sizeBytes: number,
  firstBlock: number,
  tail: number,
): Buffer[] {
  if (dataLayout === format.LAYOUT_CHUNKS) {
    const { bits, count } = format.chunking(sizeBytes);
    if (sizeBytes === 0 || count > format.CHUNKS_MAX || firstBlock !== bits - format.BLOCK_BITS)
      throw formatError(`${count} chunks for a file of ${sizeBytes} bytes`);
    image.claim(4 * count);
    if (image.slice(tail, 4 * count).some((byte) => byte !== 0xff))
      throw formatError('a file with data in the image where composefs has none');
    return [];
  }
  if (dataLayout !== format.LAYOUT_PLAIN && dataLayout !== format.LAYOUT_INLINE)
    throw formatError(`EROFS data layout ${dataLayout}`);
  if (sizeBytes > image.sizeBytes) throw formatError(`${sizeBytes} bytes of data in an image`);
  image.claim(sizeBytes);
  const isInline = dataLayout === format.LAYOUT_INLINE;
  const tailBytes = isInline ? sizeBytes % format.BLOCK_BYTES : 0;
  const pieces: Buffer[] = [];
  for (let done = 0; done < sizeBytes - tailBytes; done += format.BLOCK_BYTES) {
    const bytes = Math.min(format.BLOCK_BYTES, sizeBytes - done);
    pieces.push(image.slice(firstBlock * format.BLOCK_BYTES + done, bytes));
  }
  if (tailBytes > 0) pieces.push(image.slice(tail, tailBytes));
  return pieces;
}

function readXattrs(image: ImageBytes, superblock: Superblock, start: number, words: number) {
  const list: [string, Buffer][] = [];
  if (words === 0) return { list, sizeBytes: 0 };
  const sizeBytes = format.XATTR_HEADER_BYTES + 4 * (words - 1);
  image.claim(sizeBytes);
  const sharedCount = image.u8(start + 4);
  const end = start + sizeBytes;
  const ids = start + format.XATTR_HEADER_BYTES;
  let offset = ids + 4 * sharedCount;
  while (offset < end) {
    const { xattr, next } = readXattr(image, offset);
    list.push(xattr);
    offset = next;
  }
  if (offset !== end) throw formatError('xattrs that run out of their inode');
  for (let index = 0; index < sharedCount; index += 1) {
    const id = image.u32(ids + 4 * index);
    list.push(readXattr(image, superblock.sharedXattrsStart + 4 * id).xattr);
  }
  return { list, sizeBytes };
}

function readXattr(image: ImageBytes, offset: number): { xattr: [string, Buffer]; next: number } {
  const suffixBytes = image.u8(offset);
  const prefix = format.xattrPrefix(image.u8(offset + 1));
  if (prefix === null) throw formatError(`xattr prefix number ${image.u8(offset + 1)}`);
  const valueBytes = image.u16(offset + 2);
  const suffix = image.slice(offset + format.XATTR_ENTRY_BYTES, suffixBytes);
  const valueStart = offset + format.XATTR_ENTRY_BYTES + suffixBytes;
  const value = image.slice(valueStart, valueBytes);
  return {
    xattr: [prefix + suffix.toString('latin1'), value],
    next: format.roundUp(valueStart + valueBytes, 4),
  };
}
