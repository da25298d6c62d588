// Where everything goes in an image: inode order, shared xattrs, sizes, offsets. Writes no bytes.
// The rules are those of libcomposefs 1.0.8, since two writers must agree on every byte.

import * as format from './erofs-format.ts';
import type { Entry, ImageNode } from './erofs-overlay.ts';
import { formatError } from './format-error.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from './tree.ts';

const { BLOCK_BYTES, SLOT_BYTES } = format;

export interface Xattr {
  readonly index: number;
  readonly suffix: Buffer;
  readonly value: Buffer;
}

export interface PlacedNode {
  readonly node: ImageNode;
  /** Position in breadth-first order: the inode number. */
  readonly number: number;
  readonly isCompact: boolean;
  /** Byte offset of the inode. */
  readonly offset: number;
  /** Whole blocks outside the inode, and their first block. */
  readonly blocks: number;
  readonly firstBlock: number;
  /** Directory entries, content or chunk list right behind the inode's xattrs. */
  readonly tailBytes: number;
  readonly xattrBytes: number;
  /** Offsets of shared xattrs from the start of their table, then the inode's own, by key. */
  readonly sharedXattrs: readonly number[];
  readonly ownXattrs: readonly Xattr[];
  /** The bits of the name filter that are cleared. */
  readonly nameFilter: number;
}

export interface Layout {
  readonly placed: readonly PlacedNode[];
  readonly byNode: ReadonlyMap<ImageNode, PlacedNode>;
  readonly sharedXattrs: readonly Xattr[];
  /** Where the inodes end and the shared xattrs begin. */
  readonly inodesEnd: number;
  readonly sizeBytes: number;
  /** The earliest time of all inodes: inodes that have it are compact. */
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  readonly hasAcl: boolean;
}

const typeOf = (node: ImageNode): number => node.mode & S_IFMT;
const lessThan = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Errors: COMPOSEFS_FORMAT if an inode cannot be stored. */
export function layout(root: ImageNode): Layout {
  const nodes = breadthFirst(root);
  const earliest = nodes.reduce((a, b) =>
    b.mtimeSec < a.mtimeSec || (b.mtimeSec === a.mtimeSec && b.mtimeNsec < a.mtimeNsec) ? b : a,
  );
  const sortedXattrs = nodes.map(({ xattrs }) =>
    [...xattrs].sort(([a], [b]) => lessThan(a, b)).map(toXattr),
  );
  const shared = shareXattrs(sortedXattrs);

  const placed: PlacedNode[] = [];
  let end = format.SUPER_OFFSET + format.SUPER_BYTES;
  let blocks = 0;
  for (const [number, node] of nodes.entries()) {
    const xattrs = splitXattrs(sortedXattrs[number] ?? [], shared.offsets);
    const size = dataSize(node);
    const isCompact =
      node.mtimeSec === earliest.mtimeSec &&
      node.mtimeNsec === earliest.mtimeNsec &&
      Math.max(node.nlink, node.uid, node.gid) <= 0xffff &&
      node.sizeBytes <= 0xffffffff;
    const headBytes =
      (isCompact ? format.COMPACT_BYTES : format.EXTENDED_BYTES) + xattrs.xattrBytes;
    const fit = fitTail(node, format.roundUp(end, SLOT_BYTES), headBytes, size);
    const { offset, tailBytes } = fit;
    placed.push({ node, number, isCompact, firstBlock: blocks, ...fit, ...xattrs });
    blocks += fit.blocks;
    end = offset + headBytes + tailBytes;
  }
  const inodesEnd = format.roundUp(end, SLOT_BYTES);
  const dataStart = format.roundUp(inodesEnd + shared.sizeBytes, BLOCK_BYTES);
  const moved = placed.map((node) => ({
    ...node,
    firstBlock: node.blocks > 0 ? node.firstBlock + dataStart / BLOCK_BYTES : 0,
  }));
  return {
    placed: moved,
    byNode: new Map(moved.map((place) => [place.node, place])),
    sharedXattrs: shared.table,
    inodesEnd,
    sizeBytes: dataStart + blocks * BLOCK_BYTES,
    mtimeSec: earliest.mtimeSec,
    mtimeNsec: earliest.mtimeNsec,
    hasAcl: sortedXattrs.some((list) => list.some(({ xattr }) => [2, 3].includes(xattr.index))),
  };
}

/** Each inode once, at its home; a directory's children in byte order. */
function breadthFirst(root: ImageNode): ImageNode[] {
  const nodes = [root];
  // The array grows while it is walked.
  for (const node of nodes)
    for (const entry of node.entries ?? []) if (entry.isHome) nodes.push(entry.node);
  return nodes;
}

interface KeyedXattr {
  readonly key: string;
  /** Equal for equal keys and values only. */
  readonly identity: string;
  readonly xattr: Xattr;
}

function toXattr([key, value]: [string, Buffer]): KeyedXattr {
  const { index, suffix } = format.splitXattrKey(key);
  const identity = `${key}\0${value.toString('latin1')}`;
  return { key, identity, xattr: { index, suffix: Buffer.from(suffix, 'latin1'), value } };
}

const xattrBytes = ({ suffix, value }: Xattr): number =>
  format.roundUp(format.XATTR_ENTRY_BYTES + suffix.length + value.length, 4);

/** What more than one inode has goes into a table, in falling order of key, length and value. */
function shareXattrs(lists: readonly (readonly KeyedXattr[])[]) {
  const uses = new Map<string, { readonly first: KeyedXattr; count: number }>();
  for (const list of lists)
    for (const xattr of list) {
      const use = uses.get(xattr.identity);
      if (use) use.count += 1;
      else uses.set(xattr.identity, { first: xattr, count: 1 });
    }
  const order = [...uses.values()].filter(({ count }) => count > 1).map(({ first }) => first);
  order.sort(
    (a, b) =>
      lessThan(b.key, a.key) ||
      b.xattr.value.length - a.xattr.value.length ||
      b.xattr.value.compare(a.xattr.value),
  );
  const offsets = new Map<string, number>();
  let sizeBytes = 0;
  for (const { identity, xattr } of order) {
    offsets.set(identity, sizeBytes);
    sizeBytes += xattrBytes(xattr);
  }
  return { table: order.map(({ xattr }) => xattr), offsets, sizeBytes };
}

function splitXattrs(list: readonly KeyedXattr[], offsets: ReadonlyMap<string, number>) {
  const sharedXattrs: number[] = [];
  const ownXattrs: Xattr[] = [];
  let nameFilter = 0;
  let bytes = list.length > 0 ? format.XATTR_HEADER_BYTES : 0;
  for (const { identity, xattr } of list) {
    const offset = offsets.get(identity);
    if (offset !== undefined && sharedXattrs.length < format.SHARED_XATTRS_MAX) {
      sharedXattrs.push(offset);
      bytes += 4;
    } else {
      ownXattrs.push(xattr);
      bytes += xattrBytes(xattr);
    }
    nameFilter |= 1 << format.nameFilterBit(xattr.index, xattr.suffix);
  }
  return { sharedXattrs, ownXattrs, nameFilter, xattrBytes: bytes };
}

/** Names of a directory as they fill blocks: every group but the last is a block. */
export function direntGroups(entries: readonly Entry[]): Entry[][] {
  const groups: Entry[][] = [];
  let bytes = BLOCK_BYTES;
  for (const entry of entries) {
    const length = format.DIRENT_BYTES + entry.name.length;
    if (bytes + length > BLOCK_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(entry);
    bytes += length;
  }
  return groups;
}

interface DataSize {
  readonly blocks: number;
  readonly tailBytes: number;
}

function dataSize(node: ImageNode): DataSize {
  if (node.entries) {
    const groups = direntGroups(node.entries);
    const last = (groups.at(-1) ?? []).reduce(
      (sum, { name }) => sum + format.DIRENT_BYTES + name.length,
      0,
    );
    return tailOrBlock(groups.length - 1, last);
  }
  if (typeOf(node) === S_IFLNK) return { blocks: 0, tailBytes: node.content?.length ?? 0 };
  if (typeOf(node) !== S_IFREG || node.sizeBytes === 0) return { blocks: 0, tailBytes: 0 };
  if (node.content)
    return tailOrBlock(Math.floor(node.sizeBytes / BLOCK_BYTES), node.sizeBytes % BLOCK_BYTES);
  return { blocks: 0, tailBytes: 4 * format.chunking(node.sizeBytes).count };
}

/** More than half a block is never kept beside the inode. */
const tailOrBlock = (blocks: number, tailBytes: number): DataSize =>
  tailBytes > BLOCK_BYTES / 2 ? { blocks: blocks + 1, tailBytes: 0 } : { blocks, tailBytes };

/** Moves the inode so that its tail lies in one block, or moves the tail out. */
function fitTail(node: ImageNode, offset: number, headBytes: number, size: DataSize) {
  const { blocks, tailBytes } = size;
  const blockOf = (position: number): number => Math.floor(position / BLOCK_BYTES);
  if (typeOf(node) === S_IFLNK) {
    // The kernel reads a symlink in one go: inode and target must share a block.
    const bytes = headBytes + tailBytes;
    if (bytes > BLOCK_BYTES) throw formatError(`a symlink with ${bytes} bytes of metadata`);
    const isSplit = blockOf(offset) !== blockOf(offset + bytes - 1);
    return { offset: isSplit ? format.roundUp(offset, BLOCK_BYTES) : offset, ...size };
  }
  const left = BLOCK_BYTES - ((offset + headBytes) % BLOCK_BYTES);
  if (left >= tailBytes) return { offset, ...size };
  const pad = format.roundUp(left, SLOT_BYTES);
  const leftAfter = BLOCK_BYTES - ((offset + headBytes + pad) % BLOCK_BYTES);
  if (tailBytes <= leftAfter) return { offset: offset + pad, ...size };
  if (typeOf(node) !== S_IFDIR && !node.content)
    throw formatError(`a list of ${tailBytes / 4} chunks that fits no block`);
  return { offset, blocks: blocks + 1, tailBytes: 0 };
}
