// What a disk may hold after a power cut: of the changes that a trace shows, those that a sync made
// durable, and any of the others. A strict reading of POSIX: a file's sync saves its bytes and not its
// name, a directory's sync saves the names in it. Computes trees; touches no disk.

import { dirname } from 'node:path';
import type { Change } from './agent-disk.ts';

/** A file's content, or null for a directory. By path. */
export type Tree = ReadonlyMap<string, Buffer | null>;

interface Inode {
  /** Null: a directory. */
  bytes: Buffer | null;
  synced: Buffer | null;
}

interface NameChange {
  readonly path: string;
  /** Null: the name goes. */
  readonly inode: Inode | null;
}

/** Every tree that is looked at after the last of `trace`: pending names and bytes lost and kept. */
export function* treesAfter(start: Tree, trace: readonly Change[]): Generator<Tree> {
  const names = new Map<string, Inode>();
  for (const [path, bytes] of start) names.set(path, { bytes, synced: bytes });
  const durable = new Map(names);
  const pending: NameChange[][] = [];
  const rename = (...changes: NameChange[]) => {
    for (const { path, inode } of changes)
      if (inode === null) names.delete(path);
      else names.set(path, inode);
    pending.push(changes);
  };
  for (const change of trace) {
    const inode = names.get(change.path);
    switch (change.call) {
      case 'create':
        if (inode === undefined)
          rename({ path: change.path, inode: { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) } });
        break;
      case 'mkdir':
        if (inode === undefined)
          rename({ path: change.path, inode: { bytes: null, synced: null } });
        break;
      case 'write':
        if (inode) inode.bytes = written(inode.bytes ?? Buffer.alloc(0), change.data, change.at);
        break;
      case 'rename':
        if (inode) rename({ path: change.to, inode }, { path: change.path, inode: null });
        break;
      case 'remove':
        if (inode) rename({ path: change.path, inode: null });
        break;
      case 'sync':
        if (inode?.bytes) inode.synced = inode.bytes;
        else settle(change.path, pending, durable);
        break;
      case 'truncate':
        break;
    }
  }
  yield* variants(durable, pending);
}

function settle(dir: string, pending: NameChange[][], durable: Map<string, Inode>): void {
  for (const changes of pending.splice(0))
    if (changes.every(({ path }) => dirname(path) === dir)) apply(durable, changes);
    else pending.push(changes);
}

function apply(names: Map<string, Inode>, changes: readonly NameChange[]): void {
  for (const { path, inode } of changes)
    if (inode === null) names.delete(path);
    else names.set(path, inode);
}

/** All pending names kept, none, each one alone, all but each; and of each, bytes kept and lost. */
function* variants(durable: Map<string, Inode>, pending: readonly NameChange[][]): Generator<Tree> {
  const all = pending.map((_, index) => index);
  const choices = [
    all,
    [],
    ...all.map((one) => [one]),
    ...all.map((one) => all.filter((n) => n !== one)),
  ];
  for (const kept of choices)
    for (const bytesKept of [true, false]) {
      const names = new Map(durable);
      for (const index of kept) apply(names, pending[index] ?? []);
      const tree = new Map<string, Buffer | null>();
      for (const [path, inode] of names)
        if (!isLost(path, names)) tree.set(path, bytesKept ? inode.bytes : inode.synced);
      yield tree;
    }
}

/** What is in a directory without a name cannot be found. */
function isLost(path: string, names: ReadonlyMap<string, Inode>): boolean {
  const above = dirname(path);
  if (above === path || above === '/') return false;
  return !names.has(above) || isLost(above, names);
}

function written(bytes: Buffer, data: Buffer, at: number): Buffer {
  const whole = Buffer.alloc(Math.max(bytes.length, at + data.length));
  bytes.copy(whole);
  data.copy(whole, at);
  return whole;
}
