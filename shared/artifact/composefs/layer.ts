// What one layer tar says, in its order: inodes, hard links, whiteouts. Paths that could climb are
// refused here; what an entry does to a tree is `layer-apply`'s.
//
// From tar to composefs, as composefs' C tools see the extracted tree: mode, owner, time (PAX with
// nanoseconds, else whole seconds), device numbers and every xattr are kept; user and group names,
// access and change times are not. OCI image-spec, layer.md, for whiteouts.

import { type ByteReader, byteReader } from './byte-reader.ts';
import { entryPath, type LayerPath, linkPath } from './layer-path.ts';
import { objectQueue } from './object-queue.ts';
import type { ObjectSink } from './object-sink.ts';
import { tarError } from './tar-header.ts';
import { exactly, readTar, skip, type TarEntry, type TarLimits, truncated } from './tar-read.ts';
import * as tree from './tree.ts';

export type LayerEntry =
  | { readonly kind: 'inode'; readonly path: LayerPath; readonly inode: tree.Inode }
  | { readonly kind: 'hard-link'; readonly path: LayerPath; readonly target: LayerPath }
  /** The path of the lower layers is gone. */
  | { readonly kind: 'whiteout'; readonly path: LayerPath }
  /** What the lower layers have in this directory is gone. */
  | { readonly kind: 'opaque'; readonly path: LayerPath };

export interface Layer {
  readonly entries: readonly LayerEntry[];
}

const LAYER_LIMITS: TarLimits = {
  maxEntries: 1_000_000,
  maxMetadataBytes: 256 << 20,
  maxPathBytes: 4095,
  maxExtensionBytes: 1 << 20,
};

const WHITEOUT_PREFIX = '.wh.';
const OPAQUE = '.wh..wh..opq';

/**
 * Reads an uncompressed layer to the end of the stream. Content over 64 bytes goes to `sink`, whose
 * objects are all stored when this resolves. Errors: TAR_INVALID, PATH_ESCAPE, and those of source
 * and sink; on any of them the objects under way are aborted and the source is closed.
 */
export async function readLayer(
  source: AsyncIterable<Uint8Array>,
  sink: ObjectSink,
  limits: Partial<TarLimits> = {},
): Promise<Layer> {
  const reader = byteReader(source);
  const objects = objectQueue(sink);
  const entries: (() => LayerEntry)[] = [];
  try {
    await readTar(reader, { ...LAYER_LIMITS, ...limits }, async (entry) => {
      entries.push(await readEntry(entry, reader, objects));
    });
    await objects.settle();
  } catch (error) {
    await objects.abort();
    await reader.close();
    throw error;
  }
  return { entries: entries.map((entry) => entry()) };
}

/** What is returned may be called once the objects are settled. */
async function readEntry(
  entry: TarEntry,
  reader: ByteReader,
  objects: ReturnType<typeof objectQueue>,
): Promise<() => LayerEntry> {
  const path = entryPath(entry.name);
  const name = path.at(-1) ?? '';
  if (name.startsWith(WHITEOUT_PREFIX)) {
    await skip(reader, entry.sizeBytes);
    const hidden = whiteout(path, name);
    return () => hidden;
  }
  if (path.length === 0 && entry.type !== '5') throw tarError('the root is not a directory');
  if (entry.type === '1') {
    const target = linkPath(entry.linkName, path);
    return () => ({ kind: 'hard-link', path, target });
  }
  if (entry.type !== '0') {
    const inode = inodeOf(entry);
    return () => ({ kind: 'inode', path, inode });
  }
  const content = await readContent(entry.sizeBytes, reader, objects);
  const metadata = metadataOf(entry, tree.S_IFREG);
  return () => ({
    kind: 'inode',
    path,
    inode: { ...metadata, kind: 'file', content: content() },
  });
}

function whiteout(path: LayerPath, name: tree.ByteString): LayerEntry {
  const parent = path.slice(0, -1);
  if (name === OPAQUE) return { kind: 'opaque', path: parent };
  const hidden = name.slice(WHITEOUT_PREFIX.length);
  // `.wh..wh.` names are bookkeeping of AUFS, which no layer format has.
  if (hidden === '' || hidden.startsWith(WHITEOUT_PREFIX))
    throw tarError(`the reserved name ${tree.textOfBytes(name)}`);
  return { kind: 'whiteout', path: entryPath([...parent, hidden].join('/')) };
}

async function readContent(
  sizeBytes: number,
  reader: ByteReader,
  objects: ReturnType<typeof objectQueue>,
): Promise<() => tree.FileContent> {
  if (sizeBytes <= tree.INLINE_MAX_BYTES) {
    const bytes = Buffer.from(await exactly(reader, sizeBytes));
    return () => ({ kind: 'inline', bytes });
  }
  const object = await objects.begin(sizeBytes);
  for (let left = sizeBytes; left > 0; ) {
    const piece = await reader.some(left);
    if (piece.length === 0) throw truncated();
    left -= piece.length;
    const consumed = object.write(piece);
    if (consumed) await consumed;
  }
  const digest = object.end();
  return () => ({ kind: 'external', sizeBytes, digestHex: digest() });
}

function metadataOf(entry: TarEntry, type: number): tree.Metadata {
  const { uid, gid, mtimeSec, mtimeNsec, xattrs } = entry;
  return { mode: type | (entry.mode & 0o7777), uid, gid, mtimeSec, mtimeNsec, xattrs };
}

function inodeOf(entry: TarEntry): tree.Inode {
  switch (entry.type) {
    case '2':
      if (entry.linkName === '' || entry.linkName.includes('\0'))
        throw tarError(`the symlink ${tree.textOfBytes(entry.name)} has no target`);
      return { ...metadataOf(entry, tree.S_IFLNK), kind: 'symlink', target: entry.linkName };
    case '3':
      return { ...metadataOf(entry, tree.S_IFCHR), kind: 'special', rdev: rdevOf(entry) };
    case '4':
      return { ...metadataOf(entry, tree.S_IFBLK), kind: 'special', rdev: rdevOf(entry) };
    case '5':
      return { ...metadataOf(entry, tree.S_IFDIR), kind: 'directory', children: new Map() };
    default:
      return { ...metadataOf(entry, tree.S_IFIFO), kind: 'special', rdev: 0 };
  }
}

/** As `makedev` of glibc does it, while it fits 32 bits. */
function rdevOf({ devMajor, devMinor }: TarEntry): number {
  if (devMajor < 0 || devMajor > 0xfff || devMinor < 0 || devMinor > 0xfffff)
    throw tarError(`the device number ${devMajor}:${devMinor}`);
  return ((devMinor & 0xff) | (devMajor << 8) | ((devMinor & 0xfff00) << 12)) >>> 0;
}
