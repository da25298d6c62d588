// Whole random trees from a seed, with the content of their files: every kind of inode, hard links,
// deep and wide directories. Imported by tests only.

import { fsverityHex } from './fsverity.ts';
import { type Profile, randomMetadata, randomName } from './random-metadata-testing.ts';
import { type Random, randomOf } from './random-testing.ts';
import * as tree from './tree.ts';

export interface RandomTree {
  readonly tree: tree.Tree;
  /** Content of the files over 64 bytes, by digest (64 hex digits). */
  readonly objects: ReadonlyMap<string, Buffer>;
}

interface OpenDirectory {
  readonly children: Map<tree.ByteString, tree.Inode>;
  /** Names below the root, with their slashes. */
  readonly pathBytes: number;
}

/** Longest path below a mount point that a test can still reach by name. */
const PATH_MAX_BYTES = 3900;
const DEEP_LEVELS = 60;

/** Exactly `paths` paths beside the root. */
export function randomTree(seed: number, paths: number, profile: Profile = 'image'): RandomTree {
  const random = randomOf(seed);
  const objects = new Map<string, Buffer>();
  const linkable: tree.Inode[] = [];
  const root = openDirectory(random, profile, 0);
  const directories = [root.open];
  let made = 0;

  const add = (parent: OpenDirectory, name: tree.ByteString, inode: tree.Inode): boolean => {
    if (parent.children.has(name) || parent.pathBytes + name.length + 1 > PATH_MAX_BYTES)
      return false;
    parent.children.set(name, inode);
    made += 1;
    return true;
  };
  const addDirectory = (parent: OpenDirectory, name: tree.ByteString): OpenDirectory | null => {
    const { open, inode } = openDirectory(random, profile, parent.pathBytes + name.length + 1);
    return add(parent, name, inode) ? open : null;
  };

  let deepest: OpenDirectory = root.open;
  for (let level = 0; level < Math.min(DEEP_LEVELS, paths / 20); level += 1)
    deepest = addDirectory(deepest, `d${level}`) ?? deepest;
  directories.push(deepest);
  const wide = addDirectory(root.open, 'wide') ?? root.open;

  while (made < paths) {
    const parent = random.chance(0.3) ? wide : random.pick(directories);
    const name = randomName(random, profile);
    const kind = random.int(0, 11);
    if (kind === 0) {
      const open = addDirectory(parent, name);
      if (open) directories.push(open);
    } else if (kind === 1 && linkable.length > 0) {
      add(parent, name, random.pick(linkable));
    } else {
      const inode = randomLeaf(random, profile, objects);
      if (add(parent, name, inode) && random.chance(0.1)) linkable.push(inode);
    }
  }
  return { tree: { root: root.inode }, objects };
}

function openDirectory(random: Random, profile: Profile, pathBytes: number) {
  const children = new Map<tree.ByteString, tree.Inode>();
  const metadata = randomMetadata(tree.S_IFDIR, random, profile);
  const inode: tree.Directory = { ...metadata, kind: 'directory', children };
  return { open: { children, pathBytes }, inode };
}

const DEVICES = [0x103, 0x101, 0x801, 0xfd00, 0xfffff, 0xffffffff, 0x10300005];

function randomLeaf(random: Random, profile: Profile, objects: Map<string, Buffer>): tree.Inode {
  const kind = random.int(0, 19);
  const of = (type: number) => randomMetadata(type, random, profile);
  if (kind < 12) return { ...of(tree.S_IFREG), kind: 'file', content: content(random, objects) };
  if (kind < 15) return { ...of(tree.S_IFLNK), kind: 'symlink', target: target(random) };
  const special = (type: number, rdev: number): tree.Inode =>
    ({ ...of(type), kind: 'special', rdev }) as const;
  if (kind === 15) return special(tree.S_IFCHR, random.pick(DEVICES));
  if (kind === 16) return special(tree.S_IFBLK, random.pick([0, ...DEVICES]));
  if (kind === 17) return special(tree.S_IFIFO, 0);
  // A tar has no sockets.
  if (kind === 18 && profile === 'image') return special(tree.S_IFSOCK, 0);
  return special(tree.S_IFCHR, 0); // a whiteout
}

const SIZES = [0, 1, 63, 64, 65, 66, 4095, 4096, 4097, 8192];

function content(random: Random, objects: Map<string, Buffer>): tree.FileContent {
  const known = [...objects.keys()].at(-1);
  // The same content twice is one object.
  const again = known === undefined ? undefined : objects.get(known);
  if (known !== undefined && again !== undefined && random.chance(0.05))
    return { kind: 'external', sizeBytes: again.length, digestHex: known };
  const bytes = random.bytes(sizeOf(random));
  if (bytes.length <= tree.INLINE_MAX_BYTES) return { kind: 'inline', bytes };
  const digestHex = fsverityHex(bytes);
  objects.set(digestHex, bytes);
  return { kind: 'external', sizeBytes: bytes.length, digestHex };
}

function sizeOf(random: Random): number {
  const kind = random.int(0, 999);
  if (kind === 0) return random.int(128 * 4096 - 1, 128 * 4096 + 1); // one block of hashes, just
  if (kind === 1) return random.int(1, 4_000_000);
  if (kind < 400) return random.pick(SIZES);
  return kind < 700 ? random.int(0, tree.INLINE_MAX_BYTES) : random.int(65, 9000);
}

/** Any bytes but NUL; up to what one block holds beside the largest inode. */
function target(random: Random): tree.ByteString {
  const bytes = random.chance(0.1) ? random.int(1000, 3500) : random.int(1, 100);
  return random.bytes(bytes).toString('latin1').replaceAll('\0', '/');
}
