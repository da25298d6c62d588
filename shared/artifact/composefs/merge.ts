// Several modules as one tree: the rule merge/1. Pure; the order of its input does not matter.
//
// Modules are laid over each other by rising (priority, name):
// - The root has mode 0755, owner 0:0, time 0 and no xattrs. Of every inode only the xattrs
//   `security.capability` and `user.*` (but not `user.overlay.*`) are kept: labels of one security
//   policy, measurements and bookkeeping of overlayfs mean nothing in another tree.
// - Two directories at one path become one, with the metadata of the higher module.
// - Two other entries at one path are equal if all but their times is equal: then the higher stays.
// - Anything else is a conflict, unless `replaces` of the higher module names the path or a
//   directory above it: then the higher entry stays, with what it replaces gone.
// Hard links hold within a module. Changing any of this needs a new rule name.

import { BilletError } from '#shared/errors.ts';
import * as tree from './tree.ts';

/** The name is part of what a digest of a merged tree means. */
export const MERGE_RULE = 'merge/1';

export interface MergeModule {
  readonly name: string;
  readonly priority: number;
  /** Absolute paths, UTF-8; each stands for itself and all below. */
  readonly replaces: readonly string[];
  readonly tree: tree.Tree;
}

const ROOT: tree.Metadata = {
  mode: tree.S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
  xattrs: new Map(),
};

interface Merging {
  readonly module: MergeModule;
  readonly replaces: readonly tree.ByteString[];
  /** Which module each path of the result is from. */
  readonly owners: Map<tree.ByteString, string>;
  /** The module's inodes as they go into the result, so that hard links hold. */
  readonly kept: Map<tree.Inode, tree.Inode>;
}

/** Errors: MERGE_CONFLICT names the path and both modules; MODULE_INVALID for a name twice. */
export function mergeModules(modules: readonly MergeModule[]): tree.Tree {
  const ordered = [...modules].sort((a, b) => a.priority - b.priority || byText(a.name, b.name));
  const names = new Set(ordered.map(({ name }) => name));
  if (names.size < ordered.length)
    throw new BilletError('MODULE_INVALID', 'two modules of one name cannot be merged', {
      hint: 'name each module once',
    });
  const owners = new Map<tree.ByteString, string>();
  const children = new Map<tree.ByteString, tree.Inode>();
  for (const module of ordered) {
    const replaces = module.replaces.map((path) => tree.bytesOfText(path).replace(/\/+$/, ''));
    const merging: Merging = { module, replaces, owners, kept: new Map() };
    mergeDirectory(children, module.tree.root, '', merging);
  }
  return { root: { ...ROOT, kind: 'directory', children } };
}

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Lays `upper` over the children of one directory, in place. `path` is '' for the root. */
function mergeDirectory(
  children: Map<tree.ByteString, tree.Inode>,
  upper: tree.Directory,
  path: tree.ByteString,
  merging: Merging,
): void {
  for (const [name, inode] of tree.sortedChildren(upper)) {
    const childPath = `${path}/${name}`;
    const lower = children.get(name);
    if (inode.kind === 'directory' && (lower === undefined || lower.kind === 'directory')) {
      const merged = new Map(lower?.children);
      mergeDirectory(merged, inode, childPath, merging);
      children.set(name, { ...inode, xattrs: keptXattrs(inode.xattrs), children: merged });
    } else {
      const kept = keep(inode, childPath, merging);
      if (lower) checkConflict(lower, kept, childPath, merging);
      children.set(name, kept);
    }
    merging.owners.set(childPath, merging.module.name);
  }
}

/** An inode of the module on its own, with everything below it. */
function keep(inode: tree.Inode, path: tree.ByteString, merging: Merging): tree.Inode {
  if (inode.kind === 'directory') {
    const children = new Map<tree.ByteString, tree.Inode>();
    mergeDirectory(children, inode, path, merging);
    return { ...inode, xattrs: keptXattrs(inode.xattrs), children };
  }
  const known = merging.kept.get(inode);
  if (known) return known;
  const kept = { ...inode, xattrs: keptXattrs(inode.xattrs) };
  merging.kept.set(inode, kept);
  return kept;
}

function keptXattrs(xattrs: ReadonlyMap<tree.ByteString, Buffer>): Map<tree.ByteString, Buffer> {
  const isKept = (key: tree.ByteString): boolean =>
    key === 'security.capability' || (key.startsWith('user.') && !key.startsWith('user.overlay.'));
  return new Map([...xattrs].filter(([key]) => isKept(key)).sort(([a], [b]) => byText(a, b)));
}

function checkConflict(
  lower: tree.Inode,
  upper: tree.Inode,
  path: tree.ByteString,
  { module, replaces, owners }: Merging,
): void {
  if (replaces.some((replaced) => path === replaced || path.startsWith(`${replaced}/`))) return;
  if (isEqual(lower, upper)) return;
  const below = owners.get(path) ?? '';
  const shown = tree.textOfBytes(path);
  throw new BilletError(
    'MERGE_CONFLICT',
    `${shown} is not the same in the modules ${below} and ${module.name}`,
    {
      hint: `ship ${shown} in one of them, or name it in "replaces" of ${module.name}`,
      details: { path: shown, modules: [below, module.name], rule: MERGE_RULE },
    },
  );
}

/** All but the times. Never true for directories. */
function isEqual(a: tree.Inode, b: tree.Inode): boolean {
  const isAlike = a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
  return isAlike && isDataEqual(a, b) && isXattrsEqual(a.xattrs, b.xattrs);
}

function isDataEqual(a: tree.Inode, b: tree.Inode): boolean {
  if (a.kind === 'symlink' && b.kind === 'symlink') return a.target === b.target;
  if (a.kind === 'special' && b.kind === 'special') return a.rdev === b.rdev;
  if (a.kind !== 'file' || b.kind !== 'file') return false;
  if (a.content.kind === 'external' && b.content.kind === 'external')
    return (
      a.content.digestHex === b.content.digestHex &&
      a.content.sizeBytes === b.content.sizeBytes &&
      a.content.backingPath === b.content.backingPath
    );
  if (a.content.kind === 'inline' && b.content.kind === 'inline')
    return a.content.bytes.equals(b.content.bytes);
  return false;
}

function isXattrsEqual(
  a: ReadonlyMap<tree.ByteString, Buffer>,
  b: ReadonlyMap<tree.ByteString, Buffer>,
): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key)?.equals(value) ?? false);
}
