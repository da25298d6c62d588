// What can be seen of a file system tree, by path: every attribute that lstat, readlink, the xattr
// calls and reading give. Made from a mounted tree, and from the tree that should be there, so that
// the two can be compared.

import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { openXattrs } from '#shared/artifact/composefs/drivers/xattrs.ts';
import type { RandomTree } from '#shared/artifact/composefs/random-tree-testing.ts';
import * as tree from '#shared/artifact/composefs/tree.ts';

/** Text for people, too: a difference is printed as it stands. */
export interface Seen {
  readonly mode: string;
  readonly owner: string;
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint;
  readonly rdev: number;
  /** 0 for directories: file systems count their links in different ways. */
  readonly nlink: number;
  /** First path of the inode in byte order. */
  readonly firstName: string;
  readonly size: number;
  /** SHA-256 of the content, or the symlink's target. */
  readonly data: string;
  readonly xattrs: Readonly<Record<string, string>>;
}

export type View = Map<tree.ByteString, Seen>;

const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'hex');
const byKey = ([a]: [string, string], [b]: [string, string]): number => (a < b ? -1 : 1);
const record = (xattrs: ReadonlyMap<string, Buffer>): Record<string, string> =>
  Object.fromEntries(
    [...xattrs].map(([key, value]): [string, string] => [key, value.toString('hex')]).sort(byKey),
  );

/** Follows no symlink. Paths are bytes, `/` for the top. */
export function viewOfDirectory(top: string): View {
  const xattrsOf = openXattrs();
  const view: View = new Map();
  const firstNames = new Map<bigint, string>();
  const stack: tree.ByteString[] = [''];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    const at = Buffer.from(tree.bytesOfText(top) + path, 'latin1');
    const stat = lstatSync(at, { bigint: true });
    const isDirectory = stat.isDirectory();
    const firstName = isDirectory ? path : (firstNames.get(stat.ino) ?? path);
    firstNames.set(stat.ino, firstName);
    view.set(path === '' ? '/' : path, {
      mode: stat.mode.toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      mtime: stat.mtimeNs,
      rdev: stat.isCharacterDevice() || stat.isBlockDevice() ? Number(stat.rdev) : 0,
      nlink: isDirectory ? 0 : Number(stat.nlink),
      firstName: firstName === '' ? '/' : firstName,
      size: stat.isFile() ? Number(stat.size) : 0,
      data: stat.isSymbolicLink()
        ? readlinkSync(at, { encoding: 'buffer' }).toString('latin1')
        : stat.isFile()
          ? sha256(readFileSync(at))
          : '',
      xattrs: record(xattrsOf(at)),
    });
    if (!isDirectory) continue;
    const names = readdirSync(at, { encoding: 'buffer' }).map((name) => name.toString('latin1'));
    for (const name of names.sort().reverse()) stack.push(`${path}/${name}`);
  }
  return view;
}

const isWhiteout = (inode: tree.Inode): boolean =>
  (inode.mode & tree.S_IFMT) === tree.S_IFCHR && inode.kind === 'special' && inode.rdev === 0;

/**
 * What has to be seen of a tree. `composefs`: below an overlay, where a whiteout is an empty file
 * with marks, so that an overlay on top of this one takes it for a whiteout (composefs, "Whiteouts",
 * in its doc of the image format); `plain`: on a file system of its own, where it is a device.
 */
export function viewOfTree({ tree: source, objects }: RandomTree, as: 'composefs' | 'plain'): View {
  const view: View = new Map();
  const firstNames = new Map<tree.Inode, string>();
  const counts = new Map<tree.Inode, number>();
  const digests = new Map<string, string>();
  for (const { inode } of tree.walk(source)) counts.set(inode, (counts.get(inode) ?? 0) + 1);

  const contentOf = (content: tree.FileContent): { size: number; data: string } => {
    if (content.kind === 'inline')
      return { size: content.bytes.length, data: sha256(content.bytes) };
    const { digestHex, sizeBytes } = content;
    const known = digests.get(digestHex) ?? sha256(objects.get(digestHex) ?? Buffer.alloc(0));
    digests.set(digestHex, known);
    return { size: sizeBytes, data: known };
  };

  for (const { path, inode } of tree.walk(source)) {
    const firstName = firstNames.get(inode) ?? path;
    firstNames.set(inode, firstName);
    const xattrs = new Map(inode.xattrs);
    const isMarked = as === 'composefs' && isWhiteout(inode);
    if (as === 'composefs') addMarks(inode, xattrs, firstNames, path);
    const data = { size: 0, data: '' };
    if (inode.kind === 'symlink') data.data = inode.target;
    if (inode.kind === 'file') Object.assign(data, contentOf(inode.content));
    if (isMarked) data.data = sha256(Buffer.alloc(0));
    const mode = isMarked ? (inode.mode & ~tree.S_IFMT) | tree.S_IFREG : inode.mode;
    view.set(path, {
      mode: mode.toString(8),
      owner: `${inode.uid}:${inode.gid}`,
      mtime: BigInt(inode.mtimeSec) * 1_000_000_000n + BigInt(inode.mtimeNsec),
      rdev: inode.kind === 'special' && !isMarked ? inode.rdev : 0,
      nlink: inode.kind === 'directory' ? 0 : (counts.get(inode) ?? 1),
      firstName,
      ...data,
      xattrs: record(xattrs),
    });
  }
  return view;
}

/** A whiteout's marks, and those of the directory that holds its first name. */
function addMarks(
  inode: tree.Inode,
  xattrs: Map<string, Buffer>,
  firstNames: ReadonlyMap<tree.Inode, string>,
  path: string,
): void {
  const mark = (key: string, value: string): void => {
    for (const prefix of ['trusted.overlay.', 'user.overlay.'])
      xattrs.set(prefix + key, Buffer.from(value));
  };
  if (isWhiteout(inode)) mark('whiteout', '');
  if (inode.kind !== 'directory') return;
  const isHome = ([name, child]: [string, tree.Inode]): boolean => {
    const childPath = path === '/' ? `/${name}` : `${path}/${name}`;
    return isWhiteout(child) && (firstNames.get(child) ?? childPath) === childPath;
  };
  if (![...inode.children].some(isHome)) return;
  mark('whiteouts', '');
  mark('opaque', 'x');
}

/** Prints a few differences, in order of path. `about` says which seed they are of. */
export function assertSameView(actual: View, expected: View, about: string): void {
  const paths = [...new Set([...actual.keys(), ...expected.keys()])].sort();
  const shown: string[] = [];
  for (const path of paths) {
    const [is, should] = [actual.get(path), expected.get(path)];
    const name = tree.textOfBytes(path);
    if (is === undefined || should === undefined)
      shown.push(`${name}: ${is === undefined ? 'is missing' : 'should not be there'}`);
    else
      for (const key of Object.keys(should) as (keyof Seen)[]) {
        const [a, b] = [is[key], should[key]].map((value) => text(value));
        if (a !== b) shown.push(`${name}: ${key} is ${a}, should be ${b}`);
      }
    if (shown.length >= 10) break;
  }
  assert.equal(shown.length, 0, `${about}:\n${shown.join('\n')}`);
}

const text = (value: Seen[keyof Seen] | undefined): string =>
  typeof value === 'object' ? JSON.stringify(value) : String(value);

/** Each name an inode of its own, as a directory is read. */
export function withoutHardLinks({ tree: source, objects }: RandomTree): RandomTree {
  const apart = (directory: tree.Directory): tree.Directory => ({
    ...directory,
    children: new Map(
      [...directory.children].map(([name, inode]) => [
        name,
        inode.kind === 'directory' ? apart(inode) : { ...inode },
      ]),
    ),
  });
  return { tree: { root: apart(source.root) }, objects };
}
