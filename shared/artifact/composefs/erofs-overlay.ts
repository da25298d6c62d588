// A tree as overlayfs must find it in an image: redirects, escapes, whiteouts. Decides no layout.
//
// What composefs' C tools 1.0.8 do with default options, in this order for each inode, parents
// first: `trusted.overlay.*` is escaped; a file with external content gets metacopy (with the
// digest) and redirect; a whiteout becomes an empty file that is marked, and so is its directory.
// At the end the root becomes opaque, and gets whiteouts for the names that the object store has.

import * as format from './erofs-format.ts';
import { formatError } from './format-error.ts';
import * as tree from './tree.ts';

/** An inode on its way into an image; the layout fills in the rest. */
export interface ImageNode {
  mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSec: number;
  readonly mtimeNsec: number;
  nlink: number;
  readonly rdev: number;
  /** Of the content; 0 for what is not a regular file. */
  readonly sizeBytes: number;
  readonly xattrs: Map<tree.ByteString, Buffer>;
  /** What the image itself holds: inline content or a symlink's target. */
  readonly content: Buffer | null;
  /** Directories: every name in byte order, `.` and `..` among them. */
  readonly entries: Entry[] | null;
}

export interface Entry {
  readonly name: tree.ByteString;
  readonly node: ImageNode;
  /** The place whose position gives the inode its own position in the image. */
  readonly isHome: boolean;
}

export interface OverlayTree {
  readonly root: ImageNode;
  readonly nodes: ReadonlyMap<tree.Inode, ImageNode>;
  /** 1 if a whiteout was escaped (the `opaque=x` form of composefs 1.0.3), else 0. */
  readonly composefsVersion: 0 | 1;
}

const byName = (a: Entry, b: Entry): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
const EMPTY = Buffer.alloc(0);

/** Errors: COMPOSEFS_FORMAT for what the format cannot hold. */
export function overlayTree(source: tree.Tree): OverlayTree {
  const { homes, counts } = namesOf(source);
  const nodes = new Map<tree.Inode, ImageNode>();
  let composefsVersion: 0 | 1 = 0;

  const convert = (inode: tree.Inode): ImageNode => {
    const known = nodes.get(inode);
    if (known) return known;
    const nlink = source.links?.get(inode)?.nlink ?? counts.get(inode) ?? 1;
    const node = imageNode(inode, nlink);
    nodes.set(inode, node);
    return node;
  };

  const root = convert(source.root);
  const pending = [{ path: '/', directory: source.root, node: root, parent: root }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { path, directory, node, parent } = next;
    const entries = node.entries ?? [];
    entries.push({ name: '.', node, isHome: false }, { name: '..', node: parent, isHome: false });
    for (const [name, inode] of directory.children) {
      const childPath = path === '/' ? `/${name}` : `${path}/${name}`;
      checkName(name, childPath);
      const child = convert(inode);
      const isHome = homes.get(inode) === undefined || homes.get(inode) === childPath;
      entries.push({ name, node: child, isHome });
      if (inode.kind === 'directory') {
        node.nlink += 1;
        pending.push({ path: childPath, directory: inode, node: child, parent: node });
      }
      if (isHome && isWhiteout(inode)) {
        composefsVersion = 1;
        markWhiteout(child, node);
      }
    }
    entries.sort(byName);
  }
  root.xattrs.set(`${format.OVERLAY_PREFIX}opaque`, Buffer.from('y'));
  addStoreWhiteouts(root);
  return { root, nodes, composefsVersion };
}

/** Homes of the inodes with several names, and how many names each inode has. */
function namesOf(source: tree.Tree) {
  const homes = new Map<tree.Inode, string>();
  const counts = new Map<tree.Inode, number>();
  const first = new Map<tree.Inode, string>();
  for (const { path, inode } of tree.walk(source)) {
    const count = (counts.get(inode) ?? 0) + 1;
    counts.set(inode, count);
    if (count === 1) first.set(inode, path);
    else if (inode.kind === 'directory')
      throw formatError(`${tree.textOfBytes(path)} is a second name of a directory`);
    else homes.set(inode, source.links?.get(inode)?.home ?? first.get(inode) ?? path);
  }
  return { homes, counts };
}

function imageNode(inode: tree.Inode, nlink: number): ImageNode {
  const node: ImageNode = {
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    mtimeSec: inode.mtimeSec,
    mtimeNsec: inode.mtimeNsec,
    nlink: inode.kind === 'directory' ? 2 : nlink,
    rdev: inode.kind === 'special' ? inode.rdev : 0,
    sizeBytes: inode.kind === 'file' ? contentBytes(inode.content) : 0,
    xattrs: escapedXattrs(inode.xattrs),
    content: contentOf(inode),
    entries: inode.kind === 'directory' ? [] : null,
  };
  if (inode.kind === 'file' && inode.content.kind === 'external') {
    const { digestHex, backingPath } = inode.content;
    const path = backingPath ?? `${digestHex.slice(0, 2)}/${digestHex.slice(2)}`;
    // struct ovl_metacopy: version 0, length 36, flags 0, digest algorithm 1 (SHA-256)
    const metacopy = Buffer.concat([Buffer.from([0, 36, 0, 1]), Buffer.from(digestHex, 'hex')]);
    if (metacopy.length !== 36) throw formatError(`"${digestHex}" is not an fs-verity digest`);
    node.xattrs.set(`${format.OVERLAY_PREFIX}metacopy`, metacopy);
    node.xattrs.set(`${format.OVERLAY_PREFIX}redirect`, Buffer.from(`/${path}`, 'latin1'));
  }
  return node;
}

const contentBytes = (content: tree.FileContent): number =>
  content.kind === 'inline' ? content.bytes.length : content.sizeBytes;

function contentOf(inode: tree.Inode): Buffer | null {
  if (inode.kind === 'symlink') {
    const bytes = inode.target.length;
    if (bytes === 0 || bytes >= format.PATH_MAX_BYTES || inode.target.includes('\0'))
      throw formatError(`a symlink target of ${bytes} bytes cannot be stored`);
    return Buffer.from(inode.target, 'latin1');
  }
  if (inode.kind !== 'file' || contentBytes(inode.content) === 0) return null;
  if (inode.content.kind === 'inline') {
    if (inode.content.bytes.length > format.INLINE_LIMIT_BYTES)
      throw formatError(`${inode.content.bytes.length} bytes are too many to be inline`);
    return inode.content.bytes;
  }
  if (format.chunking(inode.content.sizeBytes).count > format.CHUNKS_MAX)
    throw formatError(`a file of ${inode.content.sizeBytes} bytes is too large`);
  return null;
}

function escapedXattrs(xattrs: ReadonlyMap<string, Buffer>): Map<string, Buffer> {
  const escaped = new Map<string, Buffer>();
  let bytes = format.XATTR_HEADER_BYTES;
  for (const [key, value] of xattrs) {
    bytes += 2 * format.XATTR_ENTRY_BYTES - 1 + key.length + value.length;
    if (key.length === 0 || key.length > format.NAME_MAX_BYTES || key.includes('\0'))
      throw formatError(`an xattr key of ${key.length} bytes cannot be stored`);
    const isOverlay = key.startsWith(format.OVERLAY_PREFIX);
    const suffix = key.slice(format.OVERLAY_PREFIX.length);
    escaped.set(isOverlay ? format.OVERLAY_ESCAPED_PREFIX + suffix : key, value);
  }
  if (bytes > format.XATTRS_MAX_BYTES && xattrs.size > 0)
    throw formatError(`${bytes} bytes of xattrs are more than ${format.XATTRS_MAX_BYTES}`);
  return escaped;
}

const isWhiteout = (inode: tree.Inode): boolean =>
  inode.kind === 'special' && (inode.mode & tree.S_IFMT) === tree.S_IFCHR && inode.rdev === 0;

function markWhiteout(node: ImageNode, parent: ImageNode): void {
  node.mode = tree.S_IFREG | (node.mode & ~tree.S_IFMT);
  for (const prefix of [format.OVERLAY_ESCAPED_PREFIX, format.OVERLAY_USER_PREFIX]) {
    node.xattrs.set(`${prefix}whiteout`, EMPTY);
    parent.xattrs.set(`${prefix}whiteouts`, EMPTY);
    parent.xattrs.set(`${prefix}opaque`, Buffer.from('x'));
  }
}

/** The store's directories `00` to `ff` lie below the image in the overlay: hide them. */
function addStoreWhiteouts(root: ImageNode): void {
  const entries = root.entries ?? [];
  const taken = new Set(entries.map(({ name }) => name));
  const selinux = root.xattrs.get('security.selinux');
  for (let byte = 0; byte < 256; byte += 1) {
    const name = byte.toString(16).padStart(2, '0');
    if (taken.has(name)) continue;
    const node: ImageNode = {
      ...root,
      mode: tree.S_IFCHR | 0o644,
      nlink: 1,
      xattrs: new Map(selinux ? [['security.selinux', selinux]] : []),
      entries: null,
    };
    entries.push({ name, node, isHome: true });
  }
  entries.sort(byName);
}

function checkName(name: string, path: string): void {
  const isOrdinary = name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
  if (!isOrdinary || name.length > format.NAME_MAX_BYTES)
    throw formatError(`${tree.textOfBytes(path)} does not end in a file name`);
}
