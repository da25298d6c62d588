// The numbers of the EROFS on-disk format and of composefs' use of it. Data only.
//
//   0     composefs header, 32 bytes: magic, 1, flags, composefs version, zeros
//   1024  EROFS superblock, 128 bytes
//   1152  inodes in breadth-first order, each on a 32-byte slot:
//           compact (32) or extended (64) inode | xattr header, shared ids, own xattrs | tail
//         tail: last directory entries, symlink target, inline content, or 0xffffffff for each chunk
//   ...   shared xattrs, 4-byte aligned, from the end of the inodes
//   ...   from the next 4096-byte block: directory blocks and content that did not fit a tail
//
// A nid is an inode's byte offset divided by 32. Source: Linux fs/erofs/erofs_fs.h,
// https://github.com/composefs/composefs (lcfs-erofs.h).

import { xxh32 } from './xxh32.ts';

export const BLOCK_BYTES = 4096;
export const BLOCK_BITS = 12;
export const SLOT_BYTES = 32;

export const COMPOSEFS_MAGIC = 0xd078629a;
export const COMPOSEFS_HEADER_VERSION = 1;
export const FLAG_HAS_ACL = 1;

export const SUPER_OFFSET = 1024;
export const SUPER_BYTES = 128;
export const SUPER_MAGIC = 0xe0f5e1e2;
/** Inodes carry modification times; xattr name filters are set. */
export const FEATURE_COMPAT = 0x2 | 0x4;

export const COMPACT_BYTES = 32;
export const EXTENDED_BYTES = 64;
export const LAYOUT_PLAIN = 0;
export const LAYOUT_INLINE = 2;
export const LAYOUT_CHUNKS = 4;

export const DIRENT_BYTES = 12;
export const NAME_MAX_BYTES = 255;
export const PATH_MAX_BYTES = 4096;

const CHUNK_BITS_MASK = 0x1f;
/** composefs refuses files whose list of chunks would be longer. */
export const CHUNKS_MAX = 1024;
/** Content that a dump may hold inline (LCFS_INLINE_CONTENT_MAX). */
export const INLINE_LIMIT_BYTES = 5000;

export const XATTR_HEADER_BYTES = 12;
export const XATTR_ENTRY_BYTES = 4;
const XATTR_FILTER_SEED = 0x25bbe08f;
/** The count of shared xattrs of one inode is a byte, of which EROFS keeps the upper half. */
export const SHARED_XATTRS_MAX = 128;
/** Keys and values of one inode, with 7 bytes for each and 12 for the list. */
export const XATTRS_MAX_BYTES = 32767;

export const OVERLAY_PREFIX = 'trusted.overlay.';
export const OVERLAY_ESCAPED_PREFIX = 'trusted.overlay.overlay.';
export const OVERLAY_USER_PREFIX = 'user.overlay.';

/** xattr key prefixes that are stored as a number, in the order in which they are tried. */
const PREFIXES: readonly (readonly [prefix: string, index: number])[] = [
  ['user.', 1],
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
];

/** The number of a key's prefix, and what is left of the key. */
export function splitXattrKey(key: string): { index: number; suffix: string } {
  for (const [prefix, index] of PREFIXES)
    if (key.startsWith(prefix)) return { index, suffix: key.slice(prefix.length) };
  return { index: 0, suffix: key };
}

/** The prefix of a number, or null for a number that composefs does not write. */
export function xattrPrefix(index: number): string | null {
  if (index === 0) return '';
  return PREFIXES.find(([, number]) => number === index)?.[0] ?? null;
}

/** How the content of a file of this size is declared as chunks without data. */
export function chunking(sizeBytes: number): { bits: number; count: number } {
  const wanted = (sizeBytes - 1).toString(2).length;
  const bits = Math.min(Math.max(wanted, BLOCK_BITS), BLOCK_BITS + CHUNK_BITS_MASK);
  return { bits, count: Math.ceil(sizeBytes / 2 ** bits) };
}

export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/** The bit of an inode's name filter that stands for this key. */
export const nameFilterBit = (index: number, suffix: Buffer): number =>
  xxh32(suffix, XATTR_FILTER_SEED + index) & 31;
