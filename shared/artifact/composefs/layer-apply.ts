// Layers on top of each other, as OCI image-spec layer.md says. Pure; no symlink is ever followed.
//
// A layer's whiteouts hide what the layers below it have, wherever they stand in the tar; then its
// entries are laid down in order, the last of several for one path staying. A directory over a
// directory replaces its metadata and keeps its children; any other pair of types replaces all.
// Directories that a layer only implies, and a root without an entry (`./`), have mode 0755, owner
// 0:0 and time 0. They are counted: a path of a few kilobytes can imply thousands.

import type { Layer, LayerEntry } from './layer.ts';
import { escapeError, type LayerPath } from './layer-path.ts';
import { tarError } from './tar-header.ts';
import * as tree from './tree.ts';

interface OpenDirectory extends tree.Directory {
  readonly children: Map<tree.ByteString, tree.Inode>;
}

const IMPLIED_MAX = 1_000_000;

const IMPLIED_DIRECTORY: tree.Metadata = {
  mode: tree.S_IFDIR | 0o755,
  uid: 0,
  gid: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
  xattrs: new Map(),
};

const openDirectory = (metadata: tree.Metadata, children: OpenDirectory['children']) =>
  ({ ...metadata, kind: 'directory', children }) satisfies OpenDirectory;

/** The tree of all layers, lowest first. Errors: PATH_ESCAPE, TAR_INVALID. */
export function treeOfLayers(layers: readonly Layer[]): tree.Tree {
  const empty: tree.Tree = { root: openDirectory(IMPLIED_DIRECTORY, new Map()) };
  return layers.reduce(applyLayer, empty);
}

/** A new tree; the one given is not changed. Errors: PATH_ESCAPE, TAR_INVALID. */
export function applyLayer(lower: tree.Tree, layer: Layer): tree.Tree {
  const holder = openDirectory(IMPLIED_DIRECTORY, new Map([['', copyDirectories(lower.root)]]));
  const root = (): OpenDirectory => holder.children.get('') as OpenDirectory;
  for (const entry of layer.entries)
    if (entry.kind === 'whiteout' || entry.kind === 'opaque') hide(root(), entry);
  let implied = 0;
  const imply = (): OpenDirectory => {
    implied += 1;
    if (implied > IMPLIED_MAX) throw tarError(`more than ${IMPLIED_MAX} directories without entry`);
    return openDirectory(IMPLIED_DIRECTORY, new Map());
  };
  for (const entry of layer.entries) {
    if (entry.kind !== 'inode' && entry.kind !== 'hard-link') continue;
    const { path } = entry;
    const name = path.at(-1);
    const parent = name === undefined ? holder : parentOf(root(), path, imply);
    const inode = entry.kind === 'inode' ? entry.inode : linked(root(), entry.path, entry.target);
    place(parent, name ?? '', inode);
  }
  return { root: root() };
}

/** Directories are copied, since they change; other inodes keep their identity. */
function copyDirectories(directory: tree.Directory): OpenDirectory {
  const copy = openDirectory(directory, new Map(directory.children));
  const pending = [copy];
  for (const next of pending)
    for (const [name, inode] of next.children)
      if (inode.kind === 'directory') {
        const child = openDirectory(inode, new Map(inode.children));
        next.children.set(name, child);
        pending.push(child);
      }
  return copy;
}

function place(parent: OpenDirectory, name: tree.ByteString, inode: tree.Inode): void {
  const there = parent.children.get(name);
  if (inode.kind !== 'directory') {
    parent.children.set(name, inode);
    return;
  }
  const children = there?.kind === 'directory' ? new Map(there.children) : new Map();
  parent.children.set(name, openDirectory(inode, children));
}

function hide(root: OpenDirectory, entry: LayerEntry): void {
  const { path } = entry;
  const directory = walkTo(root, entry.kind === 'opaque' ? path : path.slice(0, -1));
  if (!directory) return;
  if (entry.kind === 'opaque') directory.children.clear();
  else directory.children.delete(path.at(-1) ?? '');
}

/** Null where there is no such directory. Errors: PATH_ESCAPE at a symlink. */
function walkTo(root: OpenDirectory, path: LayerPath): OpenDirectory | null {
  let directory = root;
  for (const [index, name] of path.entries()) {
    const next = directory.children.get(name);
    if (next?.kind === 'symlink') throw symlinkError(path, index);
    if (next?.kind !== 'directory') return null;
    directory = next as OpenDirectory;
  }
  return directory;
}

/** The directory that holds the path, made if only implied. */
function parentOf(root: OpenDirectory, path: LayerPath, imply: () => OpenDirectory): OpenDirectory {
  let directory = root;
  for (const [index, name] of path.slice(0, -1).entries()) {
    const next = directory.children.get(name) ?? imply();
    if (next.kind === 'symlink') throw symlinkError(path, index);
    if (next.kind !== 'directory')
      throw tarError(`${show(path)} lies below ${show(path.slice(0, index + 1))}, which is a file`);
    directory.children.set(name, next);
    directory = next as OpenDirectory;
  }
  return directory;
}

function linked(root: OpenDirectory, path: LayerPath, target: LayerPath): tree.Inode {
  const inode = walkTo(root, target.slice(0, -1))?.children.get(target.at(-1) ?? '');
  if (!inode || inode.kind === 'directory')
    throw tarError(`${show(path)} is a hard link to ${show(target)}, which is no file`);
  return inode;
}

const show = (path: LayerPath): string => `/${tree.textOfBytes(path.join('/'))}`;

const symlinkError = (path: LayerPath, index: number) =>
  escapeError(`${show(path)} leads through the symlink ${show(path.slice(0, index + 1))}`);
