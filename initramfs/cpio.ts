// Writes a cpio archive as the kernel reads it (Documentation/driver-api/early-userspace/
// buffer-format.rst, "newc"). The bytes depend on names, modes and contents only: sorted, owner 0:0.

import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

const ALIGNMENT = 4;

interface Entry {
  /** Relative, without a leading slash. */
  readonly name: string;
  readonly mode: number;
  readonly data: Uint8Array;
}

/** Every byte of an archive of the tree under `root`, in pieces. Times are all `mtime` (seconds). */
export async function* cpioOfTree(root: string, mtime: number): AsyncGenerator<Uint8Array> {
  let inode = 1;
  for await (const entry of entriesUnder(root, '')) yield record(entry, inode++, mtime);
  yield record({ name: 'TRAILER!!!', mode: 0, data: new Uint8Array() }, 0, 0);
}

/** A directory comes before what is in it: the kernel makes no missing parents. */
async function* entriesUnder(root: string, dir: string): AsyncGenerator<Entry> {
  const names = await readdir(join(root, dir));
  for (const child of names.sort()) {
    const name = dir === '' ? child : `${dir}/${child}`;
    const path = join(root, name);
    const stat = await lstat(path);
    if (stat.isSymbolicLink())
      yield { name, mode: stat.mode, data: Buffer.from(await readlink(path)) };
    else if (stat.isFile()) yield { name, mode: stat.mode, data: await readFile(path) };
    else if (stat.isDirectory()) {
      yield { name, mode: stat.mode, data: new Uint8Array() };
      yield* entriesUnder(root, name);
    } else throw new TypeError(`${path} is neither file, directory nor link`);
  }
}

function record({ name, mode, data }: Entry, inode: number, mtime: number): Buffer {
  const nameBytes = Buffer.from(`${name}\0`);
  const linkCount = (mode & 0o170000) === 0o040000 ? 2 : 1;
  // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  const fields = [
    inode,
    mode,
    0,
    0,
    linkCount,
    mtime,
    data.length,
    0,
    0,
    0,
    0,
    nameBytes.length,
    0,
  ];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`;
  return Buffer.concat([padded(Buffer.concat([Buffer.from(header), nameBytes])), padded(data)]);
}

function padded(bytes: Uint8Array): Uint8Array {
  const missing = (ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT;
  return missing === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(missing)]);
}
