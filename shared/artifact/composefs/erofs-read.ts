// Reads a composefs image back into the tree it was written from. Trusts no byte of it: anything
// that `writeErofs` would not write ends as COMPOSEFS_FORMAT, in time and memory bounded by the
// size of the image. So does a path that no program could open (over PATH_MAX): whatever walks a
// tree may count on it.

import * as format from './erofs-format.ts';
import { type RawInode, readInode, readSuperblock } from './erofs-read-inode.ts';
import { formatError } from './format-error.ts';
import { imageBytes } from './image-bytes.ts';
import * as tree from './tree.ts';

const DOTS = new Set(['.', '..']);
/** What the overlay rewriting added, and takes away again. */
const ADDED = new Set([
  `${format.OVERLAY_ESCAPED_PREFIX}whiteout`,
  `${format.OVERLAY_ESCAPED_PREFIX}whiteouts`,
  `${format.OVERLAY_USER_PREFIX}whiteout`,
  `${format.OVERLAY_USER_PREFIX}whiteouts`,
]);

/** Inline content and xattr values are views into `source`. */
export function readErofs(source: Uint8Array): tree.Tree {
  const image = imageBytes(Buffer.from(source.buffer, source.byteOffset, source.length));
  const superblock = readSuperblock(image);
  const inodes = new Map<number, tree.Inode>();
  const nlinks = new Map<tree.Inode, { nlink: number; names: number }>();
  // They hide the store's directories in the overlay, and are no part of the tree.
  const storeWhiteouts = new Set<tree.Inode>();

  const load = (nid: number) => {
    const raw = readInode(image, superblock, nid);
    const children = new Map<string, tree.Inode>();
    const inode = toInode(raw, children);
    inodes.set(nid, inode);
    if ((raw.mode & tree.S_IFMT) === tree.S_IFCHR && raw.rdev === 0) storeWhiteouts.add(inode);
    if (inode.kind !== 'directory') nlinks.set(inode, { nlink: raw.nlink, names: 0 });
    return { raw, inode, children, nid };
  };

  const rootLoaded = load(superblock.rootNid);
  const root = rootLoaded.inode;
  if (root.kind !== 'directory') throw formatError('the root of the image is not a directory');
  const pending = [{ ...rootLoaded, parentNid: rootLoaded.nid, pathBytes: 0 }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    for (const { name, nid } of readDirents(next.raw)) {
      if (DOTS.has(name)) {
        if (nid !== (name === '.' ? next.nid : next.parentNid))
          throw formatError(`"${name}" leads elsewhere`);
        continue;
      }
      let child = inodes.get(nid);
      if (child?.kind === 'directory') throw formatError('a directory with two names');
      if (!child) {
        const loaded = load(nid);
        child = loaded.inode;
        const below = { parentNid: next.nid, pathBytes: next.pathBytes + name.length + 1 };
        if (below.pathBytes > format.PATH_MAX_BYTES)
          throw formatError(`a path of ${below.pathBytes} bytes`);
        if (child.kind === 'directory') pending.push({ ...loaded, ...below });
      }
      if (storeWhiteouts.has(child)) {
        if (next.inode !== root || !/^[0-9a-f]{2}$/.test(name))
          throw formatError(`the whiteout ${tree.textOfBytes(name)} is not escaped`);
        continue;
      }
      next.children.set(name, child);
      const links = nlinks.get(child);
      if (links) links.names += 1;
    }
  }
  return withLinks({ root }, nlinks);
}

interface Dirent {
  readonly name: tree.ByteString;
  readonly nid: number;
}

/** All names of a directory, strictly ascending over all of its blocks. */
function readDirents(raw: RawInode): Dirent[] {
  const dirents: Dirent[] = [];
  for (const block of raw.pieces) dirents.push(...readDirentBlock(block));
  for (const [index, { name }] of dirents.entries()) {
    const before = dirents[index - 1]?.name;
    if (before !== undefined && before >= name) throw formatError('names out of order');
    if (name === '' || name.length > format.NAME_MAX_BYTES || /[/\0]/.test(name))
      throw formatError('a directory entry without a file name');
  }
  if (!dirents.some(({ name }) => name === '.') || !dirents.some(({ name }) => name === '..'))
    throw formatError('a directory without "." and ".."');
  return dirents;
}

function readDirentBlock(block: Buffer): Dirent[] {
  const namesStart = block.length < format.DIRENT_BYTES ? 0 : block.readUInt16LE(8);
  const count = namesStart / format.DIRENT_BYTES;
  if (namesStart > block.length || count < 1 || !Number.isInteger(count))
    throw formatError('a directory block without entries');
  const dirents: Dirent[] = [];
  for (let index = 0; index < count; index += 1) {
    const at = index * format.DIRENT_BYTES;
    const start = block.readUInt16LE(at + 8);
    const isLast = index + 1 === count;
    let end = isLast ? block.length : block.readUInt16LE(at + format.DIRENT_BYTES + 8);
    if (start < namesStart || end < start || end > block.length)
      throw formatError('a directory entry out of its block');
    // The last name of a block ends where the padding begins.
    while (isLast && end > start && block[end - 1] === 0) end -= 1;
    const name = block.toString('latin1', start, end);
    const nid = block.readBigUInt64LE(at);
    if (nid > 0xffffffffn) throw formatError(`inode ${nid}`);
    dirents.push({ name, nid: Number(nid) });
  }
  return dirents;
}

function toInode(raw: RawInode, children: ReadonlyMap<string, tree.Inode>): tree.Inode {
  const all = new Map(raw.xattrs);
  const metadata: tree.Metadata = {
    mode: raw.mode,
    uid: raw.uid,
    gid: raw.gid,
    mtimeSec: raw.mtimeSec,
    mtimeNsec: raw.mtimeNsec,
    xattrs: originalXattrs(all),
  };
  switch (raw.mode & tree.S_IFMT) {
    case tree.S_IFDIR:
      if (raw.dataLayout === format.LAYOUT_CHUNKS) throw formatError('a directory in chunks');
      return { ...metadata, kind: 'directory', children };
    case tree.S_IFLNK: {
      const target = Buffer.concat(raw.pieces).toString('latin1');
      if (target === '' || target.length >= format.PATH_MAX_BYTES || target.includes('\0'))
        throw formatError(`a symlink of ${target.length} bytes`);
      return { ...metadata, kind: 'symlink', target };
    }
    case tree.S_IFREG: {
      if (!all.has(`${format.OVERLAY_ESCAPED_PREFIX}whiteout`))
        return { ...metadata, kind: 'file', content: toContent(raw, all) };
      const mode = tree.S_IFCHR | (raw.mode & ~tree.S_IFMT);
      return { ...metadata, kind: 'special', mode, rdev: 0 };
    }
    case tree.S_IFCHR:
    case tree.S_IFBLK:
      return { ...metadata, kind: 'special', rdev: raw.rdev };
    case tree.S_IFIFO:
    case tree.S_IFSOCK:
      return { ...metadata, kind: 'special', rdev: 0 };
    default:
      throw formatError(`mode ${raw.mode.toString(8)} has no file type`);
  }
}

function toContent(raw: RawInode, xattrs: ReadonlyMap<string, Buffer>): tree.FileContent {
  if (raw.dataLayout !== format.LAYOUT_CHUNKS) {
    const bytes = Buffer.concat(raw.pieces);
    if (bytes.length > format.INLINE_LIMIT_BYTES)
      throw formatError(`${bytes.length} bytes of inline content`);
    return { kind: 'inline', bytes };
  }
  const metacopy = xattrs.get(`${format.OVERLAY_PREFIX}metacopy`);
  if (metacopy?.length !== 36 || metacopy.readUInt32BE(0) !== 0x00240001)
    throw formatError('a file without a SHA-256 fs-verity digest');
  const digestHex = metacopy.toString('hex', 4);
  const redirect = xattrs.get(`${format.OVERLAY_PREFIX}redirect`)?.toString('latin1');
  if (!redirect?.startsWith('/')) throw formatError('a file without a path of its content');
  const path = redirect.slice(1);
  const ordinary = path === `${digestHex.slice(0, 2)}/${digestHex.slice(2)}`;
  const backing = ordinary ? {} : { backingPath: path };
  return { kind: 'external', sizeBytes: raw.sizeBytes, digestHex, ...backing };
}

function originalXattrs(all: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  const original = new Map<string, Buffer>();
  for (const [key, value] of all) {
    if (ADDED.has(key)) continue;
    if (key.startsWith(format.OVERLAY_ESCAPED_PREFIX))
      original.set(format.OVERLAY_PREFIX + key.slice(format.OVERLAY_ESCAPED_PREFIX.length), value);
    else if (!key.startsWith(format.OVERLAY_PREFIX)) original.set(key, value);
  }
  return original;
}

/** Keeps the link counts that are not the number of names. */
function withLinks(
  made: tree.Tree,
  nlinks: ReadonlyMap<tree.Inode, { nlink: number; names: number }>,
): tree.Tree {
  const links = new Map<tree.Inode, tree.LinkRecord>();
  for (const { path, inode } of tree.walk(made)) {
    const { nlink, names } = nlinks.get(inode) ?? { nlink: 0, names: 0 };
    if (nlink !== names && !links.has(inode)) links.set(inode, { home: path, nlink });
  }
  return links.size > 0 ? { ...made, links } : made;
}
