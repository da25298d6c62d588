// Writes a tree as a composefs image: EROFS, equal bit for bit to what mkcomposefs 1.0.8 writes
// with default options. Pure: no file is read, no content over 64 bytes is in the image.
//
// The steps: `erofs-overlay` says what must be in the image, `erofs-layout` where, this file puts
// the bytes there.

import * as format from './erofs-format.ts';
import { direntGroups, type Layout, layout, type PlacedNode, type Xattr } from './erofs-layout.ts';
import { type Entry, type ImageNode, overlayTree } from './erofs-overlay.ts';
import type { Tree } from './tree.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from './tree.ts';

const DIRENT_TYPES = new Map([
  [S_IFREG, 1],
  [S_IFDIR, 2],
  [S_IFCHR, 3],
  [S_IFBLK, 4],
  [S_IFIFO, 5],
  [S_IFSOCK, 6],
  [S_IFLNK, 7],
]);

/** Errors: COMPOSEFS_FORMAT for what the format cannot hold (names, sizes, xattrs). */
export function writeErofs(tree: Tree): Buffer {
  const { root, composefsVersion } = overlayTree(tree);
  const plan = layout(root);
  const image = Buffer.alloc(plan.sizeBytes);
  writeHeaders(image, plan, composefsVersion);
  for (const place of plan.placed) {
    writeInode(image, place);
    writeXattrs(image, place, plan.inodesEnd);
    writeData(image, place, plan);
  }
  let offset = plan.inodesEnd;
  for (const xattr of plan.sharedXattrs) offset = writeXattr(image, offset, xattr);
  return image;
}

function writeHeaders(image: Buffer, plan: Layout, composefsVersion: number): void {
  image.writeUInt32LE(format.COMPOSEFS_MAGIC, 0);
  image.writeUInt32LE(format.COMPOSEFS_HEADER_VERSION, 4);
  image.writeUInt32LE(plan.hasAcl ? format.FLAG_HAS_ACL : 0, 8);
  image.writeUInt32LE(composefsVersion, 12);

  const superblock = image.subarray(format.SUPER_OFFSET);
  superblock.writeUInt32LE(format.SUPER_MAGIC, 0);
  superblock.writeUInt32LE(format.FEATURE_COMPAT, 8);
  superblock.writeUInt8(format.BLOCK_BITS, 12);
  superblock.writeUInt16LE(nidOf(plan.placed[0] as PlacedNode), 14);
  superblock.writeUInt32LE(plan.placed.length, 16);
  superblock.writeBigInt64LE(BigInt(plan.mtimeSec), 24);
  superblock.writeUInt32LE(plan.mtimeNsec, 32);
  superblock.writeUInt32LE(plan.sizeBytes / format.BLOCK_BYTES, 36);
  superblock.writeUInt32LE(0, 40); // metadata begins in block 0
  superblock.writeUInt32LE(Math.floor(plan.inodesEnd / format.BLOCK_BYTES), 44);
}

const nidOf = (place: PlacedNode): number => place.offset / format.SLOT_BYTES;
const typeOf = (node: ImageNode): number => node.mode & S_IFMT;
const isChunked = (node: ImageNode): boolean =>
  typeOf(node) === S_IFREG && node.sizeBytes > 0 && !node.content;

function writeInode(image: Buffer, place: PlacedNode): void {
  const { node, offset, isCompact } = place;
  const inode = image.subarray(offset);
  const chunked = isChunked(node);
  const whole = place.tailBytes > 0 ? format.LAYOUT_INLINE : format.LAYOUT_PLAIN;
  const dataLayout = chunked ? format.LAYOUT_CHUNKS : whole;
  inode.writeUInt16LE((dataLayout << 1) | (isCompact ? 0 : 1), 0);
  const xattrWords = place.xattrBytes / 4;
  inode.writeUInt16LE(xattrWords && xattrWords - format.XATTR_HEADER_BYTES / 4 + 1, 2);
  inode.writeUInt16LE(node.mode, 4);
  if (isCompact) {
    inode.writeUInt16LE(node.nlink, 6);
    inode.writeUInt32LE(sizeOf(place), 8);
    inode.writeUInt16LE(node.uid, 24);
    inode.writeUInt16LE(node.gid, 26);
  } else {
    inode.writeBigUInt64LE(BigInt(sizeOf(place)), 8);
    inode.writeUInt32LE(node.uid, 24);
    inode.writeUInt32LE(node.gid, 28);
    inode.writeBigInt64LE(BigInt(node.mtimeSec), 32);
    inode.writeUInt32LE(node.mtimeNsec, 40);
    inode.writeUInt32LE(node.nlink, 44);
  }
  // A union: what the content needs, or the device number.
  const type = typeOf(node);
  if (type === S_IFCHR || type === S_IFBLK) inode.writeUInt32LE(node.rdev >>> 0, 16);
  else if (chunked) inode.writeUInt16LE(chunkBits(node), 16);
  else inode.writeUInt32LE(place.firstBlock, 16);
  inode.writeUInt32LE(place.number, 20);
}

const chunkBits = (node: ImageNode): number =>
  format.chunking(node.sizeBytes).bits - format.BLOCK_BITS;

function sizeOf({ node, blocks, tailBytes }: PlacedNode): number {
  const type = typeOf(node);
  if (type === S_IFDIR || type === S_IFLNK) return blocks * format.BLOCK_BYTES + tailBytes;
  return type === S_IFREG ? node.sizeBytes : 0;
}

const headBytes = (place: PlacedNode): number =>
  place.isCompact ? format.COMPACT_BYTES : format.EXTENDED_BYTES;

function writeXattrs(image: Buffer, place: PlacedNode, tableStart: number): void {
  if (place.xattrBytes === 0) return;
  let offset = place.offset + headBytes(place);
  image.writeUInt32LE(~place.nameFilter >>> 0, offset);
  image.writeUInt8(place.sharedXattrs.length, offset + 4);
  offset += format.XATTR_HEADER_BYTES;
  for (const shared of place.sharedXattrs) {
    image.writeUInt32LE(((tableStart % format.BLOCK_BYTES) + shared) / 4, offset);
    offset += 4;
  }
  for (const xattr of place.ownXattrs) offset = writeXattr(image, offset, xattr);
}

/** Returns where the next one begins. */
function writeXattr(image: Buffer, offset: number, { index, suffix, value }: Xattr): number {
  image.writeUInt8(suffix.length, offset);
  image.writeUInt8(index, offset + 1);
  image.writeUInt16LE(value.length, offset + 2);
  suffix.copy(image, offset + format.XATTR_ENTRY_BYTES);
  value.copy(image, offset + format.XATTR_ENTRY_BYTES + suffix.length);
  return format.roundUp(offset + format.XATTR_ENTRY_BYTES + suffix.length + value.length, 4);
}

function writeData(image: Buffer, place: PlacedNode, plan: Layout): void {
  const { node, tailBytes, firstBlock, blocks } = place;
  const tail = place.offset + headBytes(place) + place.xattrBytes;
  const first = firstBlock * format.BLOCK_BYTES;
  if (node.entries) {
    for (const [index, group] of direntGroups(node.entries).entries())
      writeDirents(image, index < blocks ? first + index * format.BLOCK_BYTES : tail, group, plan);
  } else if (isChunked(node)) {
    image.fill(0xff, tail, tail + tailBytes);
  } else if (node.content) {
    const outside = node.content.length - tailBytes;
    node.content.copy(image, first, 0, outside);
    node.content.copy(image, tail, outside);
  }
}

function writeDirents(image: Buffer, start: number, group: readonly Entry[], plan: Layout): void {
  let nameOffset = group.length * format.DIRENT_BYTES;
  for (const [index, { name, node }] of group.entries()) {
    const offset = start + index * format.DIRENT_BYTES;
    image.writeUInt32LE(nidOf(plan.byNode.get(node) as PlacedNode), offset);
    image.writeUInt16LE(nameOffset, offset + 8);
    image.writeUInt8(DIRENT_TYPES.get(typeOf(node)) ?? 0, offset + 10);
    image.write(name, start + nameOffset, 'latin1');
    nameOffset += name.length;
  }
}
