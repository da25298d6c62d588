// The name of a boot image in a slot, with its boot counter: Boot Loader Specification, "Type #2 EFI
// Unified Kernel Images" and "Boot counting". Reads and writes names, touches no file.
//
//   /EFI/Linux/billet-0000000007+2-1.efi   of generation 7, two boots left, one begun
//   /EFI/Linux/billet-0000000007+0-3.efi   bad: the loader takes it when there is nothing else
//   /EFI/Linux/billet-0000000007.efi       not counted

export interface Entry {
  /** The generation that it was written for; 0 is a copy to fall back to. The loader takes the highest. */
  readonly generation: number;
  /** Boots that may still be begun with it; null: they are not counted. */
  readonly triesLeft: number | null;
  /** Boots that were begun with it since its counter was set. */
  readonly triesDone: number;
}

/** What a new entry starts with: three boots that come to nothing, and the loader takes another one. */
export const TRIES = 3;

/** FAT keeps no case that could be relied on. */
const NAME = /^billet-(\d{10})(?:\+(\d{1,2})(?:-(\d{1,2}))?)?\.efi$/i;

/** Null for a name that is not of a slot. */
export function parseEntry(name: string): Entry | null {
  const [, generation, left, done] = NAME.exec(name) ?? [];
  if (generation === undefined) return null;
  return {
    generation: Number(generation),
    triesLeft: left === undefined ? null : Number(left),
    triesDone: Number(done ?? 0),
  };
}

export function entryName({ generation, triesLeft, triesDone }: Entry): string {
  const done = triesDone === 0 ? '' : `-${triesDone}`;
  const counter = triesLeft === null ? '' : `+${triesLeft}${done}`;
  return `billet-${String(generation).padStart(10, '0')}${counter}.efi`;
}

export const freshEntry = (generation: number): Entry => ({
  generation,
  triesLeft: TRIES,
  triesDone: 0,
});

/** The loader takes it only when everything else is bad, too. */
export const isExhausted = ({ triesLeft }: Entry): boolean => triesLeft === 0;

/** Whether the loader takes `a` rather than `b` (Boot Loader Specification, "Sorting"). */
export function outranks(a: Entry, b: Entry): boolean {
  if (isExhausted(a) !== isExhausted(b)) return isExhausted(b);
  return a.generation > b.generation;
}
