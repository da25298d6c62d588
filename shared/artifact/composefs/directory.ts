// A directory on disk as a tree, as mkcomposefs reads one: all xattrs, nanoseconds, devices, and a
// hard link as a file of its own (its content is one object all the same). Changes nothing.

import { type BigIntStats, constants } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { BilletError } from '#shared/errors.ts';
import type { ReadXattrs } from './drivers/xattrs.ts';
import type { ObjectSink } from './object-sink.ts';
import * as tree from './tree.ts';

const CHUNK_BYTES = 1 << 20;

/**
 * Content over 64 bytes goes to `sink`. Symlinks are read, never followed. Errors: NOT_FOUND if
 * `path` is not a directory, CONFLICT if a file changes while it is read, those of file system and
 * sink.
 */
export async function readDirectory(
  path: string,
  sink: ObjectSink,
  readXattrs: ReadXattrs,
): Promise<tree.Tree> {
  const from = Buffer.from(path);
  const root = await readInode(from, sink, readXattrs);
  if (root.kind !== 'directory')
    throw new BilletError('NOT_FOUND', `${path} is not a directory`, { hint: 'name a directory' });
  return { root };
}

async function readInode(path: Buffer, sink: ObjectSink, xattrs: ReadXattrs): Promise<tree.Inode> {
  const stat = await lstat(path, { bigint: true });
  const metadata: tree.Metadata = { ...metadataOf(stat), xattrs: xattrs(path) };
  if (stat.isDirectory()) {
    const children = new Map<tree.ByteString, tree.Inode>();
    for (const name of await readdir(path, { encoding: 'buffer' })) {
      const child = Buffer.concat([path, Buffer.from('/'), name]);
      children.set(name.toString('latin1'), await readInode(child, sink, xattrs));
    }
    return { ...metadata, kind: 'directory', children };
  }
  if (stat.isSymbolicLink()) {
    const target = await readlink(path, { encoding: 'buffer' });
    return { ...metadata, kind: 'symlink', target: target.toString('latin1') };
  }
  if (stat.isFile())
    return { ...metadata, kind: 'file', content: await readContent(path, Number(stat.size), sink) };
  const isDevice = stat.isCharacterDevice() || stat.isBlockDevice();
  return { ...metadata, kind: 'special', rdev: isDevice ? Number(stat.rdev & 0xffffffffn) : 0 };
}

function metadataOf(stat: BigIntStats): Omit<tree.Metadata, 'xattrs'> {
  const mtimeNsec = Number(((stat.mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n);
  return {
    mode: Number(stat.mode),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtimeSec: Number((stat.mtimeNs - BigInt(mtimeNsec)) / 1_000_000_000n),
    mtimeNsec,
  };
}

async function readContent(
  path: Buffer,
  sizeBytes: number,
  sink: ObjectSink,
): Promise<tree.FileContent> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags);
  const isInline = sizeBytes <= tree.INLINE_MAX_BYTES;
  const object = isInline ? null : sink.begin(sizeBytes);
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, sizeBytes + 1));
    let done = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length);
      done += bytesRead;
      if (bytesRead === 0 || done > sizeBytes) break;
      if (object) await object.write(buffer.subarray(0, bytesRead));
    }
    if (done !== sizeBytes)
      throw new BilletError('CONFLICT', `${path.toString()} changed while it was read`, {
        hint: 'read a directory that nobody writes to',
      });
    if (!object) return { kind: 'inline', bytes: Buffer.from(buffer.subarray(0, sizeBytes)) };
    return { kind: 'external', sizeBytes, digestHex: await object.end() };
  } catch (error) {
    await object?.abort();
    throw error;
  } finally {
    await file.close();
  }
}
