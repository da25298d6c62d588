// A tree of the shape of a small Debian root: sizes, depths and links as there, content made up.
// The same number of files gives the same tree.

import { hash } from 'node:crypto';
import * as tree from '#shared/artifact/composefs/tree.ts';

const FILES_PER_DIRECTORY = 9;
/** In a thousand: empty, up to 64 bytes, symlinks; the rest is content outside the image. */
const [EMPTY, INLINE, SYMLINKS] = [10, 40, 130];

interface OpenDirectory extends tree.Directory {
  readonly children: Map<tree.ByteString, tree.Inode>;
}

const metadata = (mode: number): tree.Metadata => ({
  mode,
  uid: 0,
  gid: 0,
  mtimeSec: 1_700_000_000,
  mtimeNsec: 0,
  xattrs: new Map(),
});

const directory = (): OpenDirectory => ({
  ...metadata(tree.S_IFDIR | 0o755),
  kind: 'directory',
  children: new Map(),
});

/** `files` counts symlinks, not directories. Trees with another `name` have no path in common. */
export function debianLikeTree(name: string, files: number): tree.Tree {
  const root = directory();
  const top = directory();
  root.children.set(name, top);
  let current = top;
  for (let number = 0; number < files; number += 1) {
    if (number % FILES_PER_DIRECTORY === 0) current = descend(top, number / FILES_PER_DIRECTORY);
    current.children.set(`libexample-${number}.so.${number % 7}`, inodeOf(name, number));
  }
  return { root };
}

/** Two levels of up to 40 directories. */
function descend(top: OpenDirectory, number: number): OpenDirectory {
  const child = (parent: OpenDirectory, key: string): OpenDirectory => {
    const known = parent.children.get(key);
    if (known?.kind === 'directory') return known as OpenDirectory;
    const made = directory();
    parent.children.set(key, made);
    return made;
  };
  return child(child(top, `share-${number % 40}`), `package-${Math.floor(number / 40)}`);
}

function inodeOf(name: string, number: number): tree.Inode {
  const kind = (number * 137) % 1000;
  const mode = metadata(tree.S_IFREG | 0o644);
  if (kind < SYMLINKS && kind >= INLINE)
    return {
      ...metadata(tree.S_IFLNK | 0o777),
      kind: 'symlink',
      target: `../lib/target-${number}`,
    };
  if (kind < INLINE) {
    const bytes = Buffer.alloc(kind < EMPTY ? 0 : 1 + (number % 64), 'x');
    return { ...mode, kind: 'file', content: { kind: 'inline', bytes } };
  }
  const digestHex = hash('sha256', `${name} ${number}`);
  const sizeBytes = 65 + ((number * 7919) % 200_000);
  return { ...mode, kind: 'file', content: { kind: 'external', sizeBytes, digestHex } };
}
