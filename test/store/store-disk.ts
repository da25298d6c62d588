// A disk that can lose power: what was synced stays; of what was not, any part may be there, in any
// order, torn at sectors. Pure but for the chance that it is given.
//
// POSIX fsync(2) makes one file's bytes and size durable; the entry of the file in its directory only
// by fsync of the directory. Nothing more is assumed: no order between files, or between sectors of
// one file. A sector holds what it held at one moment since the last sync.

import type { DiskEvent } from './store-trace.ts';

type Change = { readonly at: number; readonly bytes: Buffer } | { readonly size: number };

interface File {
  /** As of the last sync. */
  durable: Buffer;
  /** Since then, in order. */
  pending: Change[];
}

export interface Disk {
  apply(event: DiskEvent): void;
  /** The files after the power is back, by name. */
  afterPowerCut(how: PowerCut): ReadonlyMap<string, Buffer>;
}

export interface PowerCut {
  /** `dropped`: nothing unsynced arrived. `kept`: everything did. `torn`: each sector decides. */
  readonly unsynced: 'dropped' | 'kept' | 'torn';
  readonly sectorBytes: 512 | 4096;
  /** What stands where a file grew and its new sectors were not written: zeros, or anything. */
  readonly garbage: boolean;
  /** 0 to 1, for `torn`. */
  readonly random: () => number;
}

export function disk(): Disk {
  let entries = new Map<string, File>();
  let durableEntries = new Map<string, File>();
  /** The directory after each change since its last sync. */
  let pendingEntries: Map<string, File>[] = [];

  const file = (name: string): File => {
    const found = entries.get(name);
    if (!found) throw new Error(`no file ${name}`);
    return found;
  };

  function link(change: (next: Map<string, File>) => void): void {
    entries = new Map(entries);
    change(entries);
    pendingEntries.push(entries);
  }

  function sync(name: string): void {
    if (name === '') {
      durableEntries = entries;
      pendingEntries = [];
      return;
    }
    const synced = file(name);
    synced.durable = content(synced.durable, synced.pending);
    synced.pending = [];
  }

  return {
    apply(event) {
      switch (event.kind) {
        case 'create':
          return link((next) => next.set(event.name, { durable: Buffer.alloc(0), pending: [] }));
        case 'unlink':
          return link((next) => next.delete(event.name));
        case 'rename':
          return link((next) => {
            next.set(event.to, file(event.name));
            next.delete(event.name);
          });
        case 'write':
          return void file(event.name).pending.push({ at: event.at, bytes: event.bytes });
        case 'truncate':
          return void file(event.name).pending.push({ size: event.size });
        case 'sync':
          return sync(event.name);
        case 'said':
          return;
      }
    },

    afterPowerCut(how) {
      const { unsynced } = how;
      if (unsynced === 'kept') return mapped(entries, (one) => content(one.durable, one.pending));
      if (unsynced === 'dropped') return mapped(durableEntries, (one) => one.durable);
      return mapped(tornEntries(how), (one) => torn(one, how));
    },
  };

  /** Each name as it was at some moment since the directory was synced, whatever the others are. */
  function tornEntries({ random }: PowerCut): Map<string, File> {
    const moments = [durableEntries, ...pendingEntries];
    const names = new Set(moments.flatMap((one) => [...one.keys()]));
    const out = new Map<string, File>();
    for (const name of names) {
      const found = moments[Math.floor(random() * moments.length)]?.get(name);
      if (found) out.set(name, found);
    }
    return out;
  }
}

const mapped = (files: ReadonlyMap<string, File>, bytes: (one: File) => Buffer) =>
  new Map([...files].map(([name, one]) => [name, bytes(one)]));

function content(durable: Buffer, changes: readonly Change[]): Buffer {
  let now = durable;
  let owned = false;
  for (const change of changes) {
    const size =
      'size' in change ? change.size : Math.max(now.length, change.at + change.bytes.length);
    if (!owned || size !== now.length) {
      const next = Buffer.alloc(size);
      now.copy(next, 0, 0, Math.min(size, now.length));
      now = next;
      owned = true;
    }
    if ('bytes' in change) change.bytes.copy(now, change.at);
  }
  return now;
}

/** Bits of a file's past: each sector as of its own moment, the size as of one, too. */
function torn({ durable, pending }: File, how: PowerCut): Buffer {
  if (pending.length === 0) return durable;
  const { random, sectorBytes } = how;
  const sizes = [
    durable.length,
    ...pending.map((_, at) => content(durable, pending.slice(0, at + 1)).length),
  ];
  const size = sizes[Math.floor(random() * sizes.length)] ?? durable.length;
  const out = Buffer.alloc(size);
  const bias = random();
  for (let at = 0; at < size; at += sectorBytes) {
    const end = Math.min(size, at + sectorBytes);
    const cut = random() < bias ? Math.floor(random() * (pending.length + 1)) : pending.length;
    const isNew = at >= durable.length;
    if (isNew && cut === 0 && how.garbage) out.fill(0xa5, at, end);
    else sectorAt(durable, pending.slice(0, cut), at, end).copy(out, at);
  }
  return out;
}

/** What the bytes from `at` to `end` were after `changes`. */
function sectorAt(durable: Buffer, changes: readonly Change[], at: number, end: number): Buffer {
  const sector = Buffer.alloc(end - at);
  if (at < durable.length) durable.copy(sector, 0, at, end);
  for (const change of changes)
    if ('size' in change) {
      if (change.size < end) sector.fill(0, Math.max(0, change.size - at));
    } else if (change.at < end && change.at + change.bytes.length > at) {
      const from = Math.max(0, at - change.at);
      change.bytes.copy(sector, Math.max(0, change.at - at), from, end - change.at);
    }
  return sector;
}
