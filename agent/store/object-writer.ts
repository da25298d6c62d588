// Writes objects, seals them and gives them their names. Runs on a thread of its own, synchronously;
// knows nothing of threads.
//
// With fs-verity the kernel computes the digest once, when it seals the file, and it is read back
// from there: nothing is hashed twice. Without, it is computed while the bytes are written.

import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { readErofs } from '#shared/artifact/composefs/erofs-read.ts';
import { type FsverityHasher, fsverityHasher } from '#shared/artifact/composefs/fsverity.ts';
import { objectsOf } from '#shared/artifact/composefs/tree.ts';
import { BilletError } from '#shared/errors.ts';
import { diskError } from '../drivers/disk-error.ts';
import type { Verity } from '../drivers/verity.ts';
import { type StorePaths, storePaths } from './layout.ts';
import type { Request, Written } from './messages.ts';
import { assertRoom } from './room.ts';

export interface ObjectWriterDeps {
  readonly dir: string;
  /** Null where the file system has none. */
  readonly verity: Verity | null;
}

export interface ObjectStoreThread {
  write(request: Extract<Request, { kind: 'write' }>): Written;
  drop(ingest: string): void;
  check(objects: readonly string[]): readonly string[];
  checkImage(imageHex: string): boolean;
  references(imageHex: string): readonly string[] | null;
}

interface OpenFile {
  readonly path: string;
  readonly fd: number;
  readonly hasher: FsverityHasher | null;
}

export function objectStoreThread({ dir, verity }: ObjectWriterDeps): ObjectStoreThread {
  const paths = storePaths(dir);
  const ingests = new Map<string, Map<number, OpenFile>>();

  function filesOf(ingest: string): Map<number, OpenFile> {
    const known = ingests.get(ingest);
    if (known) return known;
    mkdirSync(join(paths.temporary, ingest), { recursive: true });
    const files = new Map<number, OpenFile>();
    ingests.set(ingest, files);
    return files;
  }

  function create(ingest: string, file: number): OpenFile {
    const path = join(paths.temporary, ingest, String(file));
    return { path, fd: openSync(path, 'wx', 0o644), hasher: verity ? null : fsverityHasher() };
  }

  function write(request: Extract<Request, { kind: 'write' }>): Written {
    assertRoom(
      paths.dir,
      request.segments.reduce((sum, { length }) => sum + length, 0),
    );
    const files = filesOf(request.ingest);
    const ended: [number, string][] = [];
    for (const { file, offset, length, last } of request.segments) {
      const open = files.get(file) ?? create(request.ingest, file);
      files.set(file, open);
      const bytes = new Uint8Array(request.buffer, offset, length);
      writeAll(open.fd, bytes);
      open.hasher?.update(bytes);
      if (!last) continue;
      files.delete(file);
      closeSync(open.fd);
      ended.push([file, keep(open, verity, paths)]);
    }
    for (const file of request.dropped) discard(files, file);
    return { ended };
  }

  function drop(ingest: string): void {
    const files = ingests.get(ingest) ?? new Map<number, OpenFile>();
    for (const file of [...files.keys()]) discard(files, file);
    ingests.delete(ingest);
    rmSync(join(paths.temporary, ingest), { recursive: true, force: true });
  }

  const missing = (objects: readonly string[]): readonly string[] =>
    objects.filter((hex) => !isWhole(paths.object(hex), hex, verity));

  function references(hex: string): readonly string[] | null {
    const path = paths.image(hex);
    if (!isWhole(path, hex, verity)) return null;
    return [...objectsOf(readErofs(readFileSync(path))).keys()];
  }

  function checkImage(hex: string): boolean {
    const objects = references(hex);
    return objects !== null && missing(objects).length === 0;
  }

  return {
    write: (request) => wrapped('write objects', () => write(request)),
    drop: (ingest) => wrapped('remove what was not finished', () => drop(ingest)),
    check: (objects) => wrapped('read objects', () => missing(objects)),
    checkImage: (hex) => wrapped('read an image', () => checkImage(hex)),
    references: (hex) => wrapped('read an image', () => references(hex)),
  };
}

/** Seals a whole file and moves it to the name of its digest, which is returned. */
function keep(file: OpenFile, verity: Verity | null, paths: StorePaths): string {
  const hex = verity ? sealed(file.path, verity) : (file.hasher?.digest().toString('hex') ?? '');
  const path = paths.object(hex);
  // What is there already stays (it may be in use), if the kernel vouches for it.
  const known = verity !== null && statSync(path, { throwIfNoEntry: false }) !== undefined;
  if (known && isWhole(path, hex, verity)) unlinkSync(file.path);
  else renameSync(file.path, path);
  return hex;
}

function sealed(path: string, verity: Verity): string {
  const fd = openSync(path, 'r');
  try {
    verity.enable(fd);
    const hex = verity.measure(fd);
    if (hex !== null) return hex;
    throw new BilletError('VERITY_FAILED', 'a file was sealed, and then was not', {
      hint: 'look at `dmesg | grep -i verity`; the disk may be failing',
    });
  } finally {
    closeSync(fd);
  }
}

/** Whether the object is there and has the digest of its name: measured, or hashed without verity. */
function isWhole(path: string, hex: string, verity: Verity | null): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return false;
  const fd = openSync(path, 'r');
  try {
    return (verity ? verity.measure(fd) : hashed(fd)) === hex;
  } finally {
    closeSync(fd);
  }
}

function hashed(fd: number): string {
  const hasher = fsverityHasher();
  const chunk = Buffer.allocUnsafe(256 * 1024);
  for (let read = readSync(fd, chunk); read > 0; read = readSync(fd, chunk))
    hasher.update(chunk.subarray(0, read));
  return hasher.digest().toString('hex');
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function discard(files: Map<number, OpenFile>, file: number): void {
  const open = files.get(file);
  if (open === undefined) return;
  files.delete(file);
  closeSync(open.fd);
  rmSync(open.path, { force: true });
}

function wrapped<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw diskError(error, what);
  }
}
