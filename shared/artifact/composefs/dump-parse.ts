// Reads composefs-dump(5), one line a path, into a tree. Reads no file.

import { parseField, parseTime, unescapeBytes, unescapeOptional } from './dump-text.ts';
import { NAME_MAX_BYTES } from './erofs-format.ts';
import { formatError } from './format-error.ts';
import * as tree from './tree.ts';

const FIELDS = 11;
const UINT32_MAX = 0xffffffff;

interface Line {
  readonly path: tree.ByteString;
  readonly name: tree.ByteString;
  readonly parent: Map<string, tree.Inode>;
}

interface State {
  readonly inodes: Map<tree.ByteString, tree.Inode>;
  /** Children of each directory, still open for more. */
  readonly children: Map<tree.Inode, Map<string, tree.Inode>>;
  readonly nlinks: Map<tree.Inode, number>;
  readonly hardLinks: { readonly line: Line; readonly target: tree.ByteString }[];
}

/**
 * Order: a directory's line comes before those of its children; a hard link (`@`) may name a path
 * further down. Errors: COMPOSEFS_FORMAT with the line.
 */
export function parseDump(dump: Uint8Array): tree.Tree {
  const state: State = {
    inodes: new Map(),
    children: new Map(),
    nlinks: new Map(),
    hardLinks: [],
  };
  const lines = Buffer.from(dump.buffer, dump.byteOffset, dump.length)
    .toString('latin1')
    .split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (const [index, line] of lines.entries()) inLine(index + 1, () => parseLine(line, state));
  const targets = new Map(state.hardLinks.map(({ line, target }) => [line.path, target]));
  for (const { line, target } of state.hardLinks) resolve(line, target, targets, state);
  const root = state.inodes.get('/');
  if (root?.kind !== 'directory') throw formatError('a dump without a root directory');
  return withLinks({ root }, state);
}

function inLine(number: number, parse: () => void): void {
  try {
    parse();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw formatError(`line ${number} of the dump: ${error.message}`, 'see composefs-dump(5)');
  }
}

function parseLine(text: string, state: State): void {
  const fields = text.split(' ');
  if (fields.length < FIELDS) throw formatError(`${fields.length} fields instead of ${FIELDS}`);
  const [pathText = '', size = '', modeText = '', nlink = ''] = fields;
  const path = unescapeBytes(pathText);
  const isHardLink = modeText.startsWith('@');
  const mode = parseField(isHardLink ? modeText.slice(1) : modeText, 'mode', 8, 0o177777);
  const line = place(path, state);
  if (isHardLink) {
    const target = unescapeOptional(fields[8] ?? '-');
    if (target === null) throw formatError('a hard link without a target');
    state.hardLinks.push({ line, target });
    return;
  }
  const inode = parseInode(mode, parseField(size, 'size', 10, Number.MAX_SAFE_INTEGER), fields);
  if (path === '/' && inode.kind !== 'directory') throw formatError('the root is not a directory');
  if (inode.kind === 'directory')
    state.children.set(inode, inode.children as Map<string, tree.Inode>);
  else state.nlinks.set(inode, parseField(nlink, 'link count', 10, UINT32_MAX));
  line.parent.set(line.name, inode);
  state.inodes.set(path, inode);
}

/** Where a new path goes; claims nothing yet. */
function place(path: tree.ByteString, state: State): Line {
  if (path === '/') {
    if (state.inodes.has('/')) throw formatError('a second root');
    return { path, name: '', parent: new Map() };
  }
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  const directory = state.inodes.get(path.slice(0, slash) || '/');
  const parent = directory && state.children.get(directory);
  if (!path.startsWith('/') || name === '' || name === '.' || name === '..' || name.includes('\0'))
    throw formatError(`"${tree.textOfBytes(path)}" is not an absolute path`);
  if (name.length > NAME_MAX_BYTES) throw formatError(`a name of ${name.length} bytes`);
  if (!parent) throw formatError(`no directory above ${tree.textOfBytes(path)}`);
  if (parent.has(name)) throw formatError(`${tree.textOfBytes(path)} for the second time`);
  return { path, name, parent };
}

function parseInode(mode: number, sizeBytes: number, fields: readonly string[]): tree.Inode {
  const metadata: tree.Metadata = {
    mode,
    uid: parseField(fields[4] ?? '', 'uid', 10, UINT32_MAX),
    gid: parseField(fields[5] ?? '', 'gid', 10, UINT32_MAX),
    ...parseTime(fields[7] ?? ''),
    xattrs: parseXattrs(fields.slice(FIELDS)),
  };
  const payload = unescapeOptional(fields[8] ?? '-');
  switch (mode & tree.S_IFMT) {
    case tree.S_IFDIR:
      return { ...metadata, kind: 'directory', children: new Map() };
    case tree.S_IFREG:
      return { ...metadata, kind: 'file', content: parseContent(sizeBytes, payload, fields) };
    case tree.S_IFLNK:
      if (!payload) throw formatError('a symlink without a target');
      return { ...metadata, kind: 'symlink', target: payload };
    case tree.S_IFCHR:
    case tree.S_IFBLK:
    case tree.S_IFIFO:
    case tree.S_IFSOCK: {
      const rdev = parseField(fields[6] ?? '', 'device number', 10, UINT32_MAX);
      return { ...metadata, kind: 'special', rdev };
    }
    default:
      throw formatError(`mode ${mode.toString(8)} has no file type`);
  }
}

function parseContent(
  sizeBytes: number,
  payload: tree.ByteString | null,
  fields: readonly string[],
): tree.FileContent {
  const content = unescapeOptional(fields[9] ?? '-');
  const bytes = Buffer.from(content ?? '', 'latin1');
  if (content !== null && bytes.length !== sizeBytes)
    throw formatError(`${bytes.length} bytes of content in a file of ${sizeBytes}`);
  if (sizeBytes === 0 || content !== null) return { kind: 'inline', bytes };
  const digestHex = unescapeOptional(fields[10] ?? '-')?.toLowerCase() ?? '';
  if (!/^[0-9a-f]{64}$/.test(digestHex))
    throw formatError('a file with external content and no fs-verity digest');
  const ordinary = `${digestHex.slice(0, 2)}/${digestHex.slice(2)}`;
  const backing = payload === null || payload === ordinary ? {} : { backingPath: payload };
  return { kind: 'external', sizeBytes, digestHex, ...backing };
}

function parseXattrs(fields: readonly string[]): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals < 1) throw formatError(`"${field}" is not an xattr`);
    const value = Buffer.from(unescapeBytes(field.slice(equals + 1)), 'latin1');
    xattrs.set(unescapeBytes(field.slice(0, equals)), value);
  }
  return xattrs;
}

/** A link's target may be a link itself, but not in a circle. */
function resolve(
  line: Line,
  target: tree.ByteString,
  next: Map<tree.ByteString, tree.ByteString>,
  state: State,
): void {
  let path = target;
  const passed = new Set<tree.ByteString>([line.path]);
  for (let hop = next.get(path); hop !== undefined && !passed.has(path); hop = next.get(path)) {
    passed.add(path);
    path = hop;
  }
  // A chain is walked once: the links on it lead straight to its end from now on.
  for (const link of passed) next.set(link, path);
  const inode = state.inodes.get(path);
  if (!inode || inode.kind === 'directory')
    throw formatError(
      `${tree.textOfBytes(line.path)} is a hard link to ${tree.textOfBytes(target)}, which is no file`,
    );
  if (line.parent.has(line.name))
    throw formatError(`${tree.textOfBytes(line.path)} for the second time`);
  line.parent.set(line.name, inode);
}

/** Keeps what the dump says of links where the tree alone would say otherwise. */
function withLinks(made: tree.Tree, state: State): tree.Tree {
  const homes = new Map<tree.Inode, tree.ByteString>();
  for (const [path, inode] of state.inodes) homes.set(inode, path);
  const first = new Map<tree.Inode, tree.ByteString>();
  const counts = new Map<tree.Inode, number>();
  for (const { path, inode } of tree.walk(made)) {
    if (!first.has(inode)) first.set(inode, path);
    counts.set(inode, (counts.get(inode) ?? 0) + 1);
  }
  const links = new Map<tree.Inode, tree.LinkRecord>();
  for (const [inode, nlink] of state.nlinks) {
    const home = homes.get(inode) ?? '';
    if (home !== first.get(inode) || nlink !== counts.get(inode)) links.set(inode, { home, nlink });
  }
  return links.size > 0 ? { ...made, links } : made;
}
