// What lies in one slot: its entry, its digest, and what does not belong there. Changes nothing.

import type { Digest } from '#shared/digest.ts';
import { inLinux, type SlotVolume } from '../drivers/slot-volume.ts';
import { type Entry, outranks, parseEntry } from './entry-name.ts';

export interface SeenFile {
  /** Null: the slot is empty. The one that the loader would take. */
  readonly entry: Entry | null;
  readonly name: string | null;
  /** Null: it cannot be read. */
  readonly digest: Digest | null;
  readonly litter: readonly string[];
}

/** `known`: its digest, where it has been read before. */
export async function seeSlot(volume: SlotVolume, known: Digest | null = null): Promise<SeenFile> {
  const { entry, name, litter } = entriesIn(await volume.names());
  const digest = name === null ? null : (known ?? (await volume.digest(inLinux(name))));
  return { entry, name, digest, litter };
}

/** Files that are nobody's but the slots' are litter; others are left alone. */
export function entriesIn(names: readonly string[]): Omit<SeenFile, 'digest'> {
  const entries = names.flatMap((name) => {
    const entry = parseEntry(name);
    return entry === null ? [] : [{ name, entry }];
  });
  entries.sort((a, b) => (outranks(b.entry, a.entry) ? 1 : -1));
  const [first, ...rest] = entries;
  const drafts = names.filter((name) => name.toLowerCase().startsWith('.billet-'));
  const litter = [...rest.map(({ name }) => name), ...drafts];
  return { entry: first?.entry ?? null, name: first?.name ?? null, litter };
}
