// The model of a file system tree: what layers are read into and images are written from.
// Holds metadata and small content only, and touches no file system.
//
// Names, symlink targets and xattr keys are byte strings: JavaScript strings with one char (0-255)
// for each byte (`latin1`), because names on Linux need not be UTF-8. Sorting them with `<` sorts
// by bytes. Two places that hold the same inode object are hard links of each other.

/** Content up to this many bytes is kept in the image itself; longer content is an object. */
export const INLINE_MAX_BYTES = 64;

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
export const S_IFIFO = 0o010000;
export const S_IFSOCK = 0o140000;

/** One byte for each char (0-255). */
export type ByteString = string;

export interface Metadata {
  /** `st_mode`: the file type and the twelve permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch, a safe integer, may be negative. */
  readonly mtimeSec: number;
  /** 0 to 999,999,999. */
  readonly mtimeNsec: number;
  /** Keys with their prefix (`user.k`), in no particular order. */
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
}

/** Where the bytes of a regular file are. */
export type FileContent =
  | { readonly kind: 'inline'; readonly bytes: Buffer }
  | {
      readonly kind: 'external';
      readonly sizeBytes: number;
      /** fs-verity digest: SHA-256, 4096-byte blocks, no salt; 64 hex digits. */
      readonly digestHex: string;
      /** Only from a foreign dump or image: a backing path other than `ab/cdef…` of the digest. */
      readonly backingPath?: ByteString;
    };

export interface Directory extends Metadata {
  readonly kind: 'directory';
  readonly children: ReadonlyMap<ByteString, Inode>;
}

export interface RegularFile extends Metadata {
  readonly kind: 'file';
  /**
   * Inline with zero bytes for an empty file. Layers and directories give external content exactly
   * when it is over `INLINE_MAX_BYTES`; a foreign dump may hold up to 5000 bytes inline.
   */
  readonly content: FileContent;
}

export interface Symlink extends Metadata {
  readonly kind: 'symlink';
  readonly target: ByteString;
}

/** Character or block device, FIFO or socket: `mode` says which. */
export interface Special extends Metadata {
  readonly kind: 'special';
  /** As Linux encodes it for user space (`makedev`), 32 bits; 0 for FIFO and socket. */
  readonly rdev: number;
}

export type Inode = Directory | RegularFile | Symlink | Special;

/** What a dump or an image records of a non-directory, where the tree alone says otherwise. */
export interface LinkRecord {
  /** The path whose place in the tree decides the inode's place in the image. */
  readonly home: ByteString;
  readonly nlink: number;
}

/** A whole tree: its root directory. */
export interface Tree {
  readonly root: Directory;
  /**
   * Absent for trees made from layers and directories: there an inode's home is its first path in
   * `walk` order and its link count is the number of its names.
   */
  readonly links?: ReadonlyMap<Inode, LinkRecord>;
}

/** Children in byte order of their names, the order of every format here. */
export function sortedChildren(directory: Directory): [ByteString, Inode][] {
  return [...directory.children].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

export interface Visit {
  /** `/` for the root, else `/a/b`; bytes. */
  readonly path: ByteString;
  readonly inode: Inode;
}

/** Every path, parents first, siblings in byte order. A hard-linked inode comes once per name. */
export function* walk(tree: Tree): Generator<Visit> {
  const stack: Visit[] = [{ path: '/', inode: tree.root }];
  for (let visit = stack.pop(); visit; visit = stack.pop()) {
    yield visit;
    if (visit.inode.kind !== 'directory') continue;
    const prefix = visit.path === '/' ? '/' : `${visit.path}/`;
    for (const [name, inode] of sortedChildren(visit.inode).reverse())
      stack.push({ path: prefix + name, inode });
  }
}

/** The inode at an absolute path (bytes), or null. Follows no symlink. */
export function lookup(tree: Tree, path: ByteString): Inode | null {
  let inode: Inode = tree.root;
  for (const name of path.split('/').filter((part) => part !== '')) {
    const child: Inode | undefined =
      inode.kind === 'directory' ? inode.children.get(name) : undefined;
    if (!child) return null;
    inode = child;
  }
  return inode;
}

/** Digests of all objects that the tree refers to, each once, with their sizes. */
export function objectsOf(tree: Tree): Map<string, number> {
  const objects = new Map<string, number>();
  for (const { inode } of walk(tree))
    if (inode.kind === 'file' && inode.content.kind === 'external')
      objects.set(inode.content.digestHex, inode.content.sizeBytes);
  return objects;
}

/** Text to bytes: the form that names have in a tree. */
export function bytesOfText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** Bytes to text for people: UTF-8 where it is, `\xNN` where it is not or does not print. */
export function textOfBytes(bytes: ByteString): string {
  const raw = Buffer.from(bytes, 'latin1');
  const text = raw.toString('utf8');
  // A name that does not survive the round trip, or holds control characters, is escaped.
  if (Buffer.from(text, 'utf8').equals(raw) && !/\p{C}/u.test(text)) return text;
  return bytes.replace(
    /[^ -~]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
}
