// Stands between this process and node:fs/promises, so that a test sees each change that the agent
// makes to its files, and decides what becomes of it: done, half done, refused, or the last thing
// that ever happens. Changes nothing by itself.

import { Buffer } from 'node:buffer';
import promises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { resolve, sep } from 'node:path';

export type Change =
  | { readonly call: 'create' | 'truncate' | 'remove' | 'mkdir'; readonly path: string }
  | { readonly call: 'write'; readonly path: string; readonly data: Buffer; readonly at: number }
  /** Of a file or a directory. */
  | { readonly call: 'sync'; readonly path: string }
  | { readonly call: 'rename'; readonly path: string; readonly to: string };

/** Called in place of the change; `act` makes it (a write: with other data, if given). */
export type Around = (change: Change, act: (data?: Buffer) => Promise<unknown>) => Promise<unknown>;

const watched = new Map<string, Watched>();
/**
 * Every file that is open, also one that an agent got after its death: a handle that nobody holds is
 * closed by the garbage collector, which Node takes for an error.
 */
const held = new Set<FileHandle>();
const real = { ...promises };

interface Watched {
  readonly around: Around;
  /** As a kernel closes what a process that dies has open. */
  readonly open: Set<FileHandle>;
}

/** Until the returned function is called, changes at and below `dir` go through `around`. */
export function watchDisk(dir: string, around: Around): () => Promise<void> {
  if (watched.size === 0) install();
  const own: Watched = { around, open: new Set() };
  watched.set(resolve(dir), own);
  return async () => {
    if (watched.get(resolve(dir)) === own) watched.delete(resolve(dir));
    for (const file of own.open) await closed(file);
    if (watched.size > 0) return;
    for (const file of held) await closed(file);
    Object.assign(promises, real);
    syncBuiltinESMExports();
  };
}

async function closed(file: FileHandle): Promise<void> {
  held.delete(file);
  await file.close();
}

function watcherOf(path: string): Watched | null {
  const full = resolve(path);
  for (const [dir, own] of watched) if (full === dir || full.startsWith(dir + sep)) return own;
  return null;
}

/** A watcher that answers once an agent is dead keeps it so: its promises never settle. */
const through = (path: string, change: Change, act: (data?: Buffer) => Promise<unknown>) =>
  watcherOf(path)?.around(change, act) ?? act();

function install(): void {
  const patch: Partial<Record<keyof typeof promises, unknown>> = {
    open: async (path: string, flags = 'r', mode?: number) => {
      const creates = /^[wa]/.test(String(flags));
      const act = () => real.open(path, flags, mode);
      const file = creates ? await through(path, { call: 'create', path }, act) : await act();
      held.add(file as FileHandle);
      watcherOf(path)?.open.add(file as FileHandle);
      return handleOf(file as FileHandle, path);
    },
    rename: (path: string, to: string) =>
      through(path, { call: 'rename', path, to }, () => real.rename(path, to)),
    rm: (path: string, options?: object) =>
      through(path, { call: 'remove', path }, () => real.rm(path, options)),
    mkdir: (path: string, options?: object) =>
      through(path, { call: 'mkdir', path }, () => real.mkdir(path, options)),
    writeFile: async (path: string, content: string | Buffer, options?: object) => {
      const data = Buffer.from(content as string);
      const write = (part: Buffer = data) => real.writeFile(path, part, options);
      return await through(path, { call: 'write', path, data, at: 0 }, write);
    },
  };
  Object.assign(promises, patch);
  syncBuiltinESMExports();
}

function handleOf(file: FileHandle, path: string): FileHandle {
  const own: Partial<Record<keyof FileHandle, unknown>> = {
    close: () => {
      for (const { open } of watched.values()) open.delete(file);
      return closed(file);
    },
    sync: () => through(path, { call: 'sync', path }, () => file.sync()),
    datasync: () => through(path, { call: 'sync', path }, () => file.datasync()),
    truncate: (length: number) =>
      through(path, { call: 'truncate', path }, () => file.truncate(length)),
    writeFile: (content: string | Uint8Array) => {
      const data = Buffer.from(content as string);
      const write = async (part: Buffer = data) => void (await file.write(part, 0, part.length, 0));
      return through(path, { call: 'write', path, data, at: 0 }, write);
    },
    write: (buffer: Buffer, offset: number, length: number, at: number) => {
      const data = buffer.subarray(offset, offset + length);
      const write = (part: Buffer = data) => file.write(part, 0, part.length, at);
      return through(path, { call: 'write', path, data, at }, write);
    },
  };
  return new Proxy(file, {
    get(target, key) {
      if (key in own) return own[key as keyof FileHandle];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
