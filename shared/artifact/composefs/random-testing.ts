// Chance from a seed: the same seed gives the same choices everywhere. Imported by tests only, and
// good for nothing that has to be unguessable.

export interface Random {
  /** Whole, both ends included. */
  int(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  bytes(count: number): Buffer;
}

/** Mulberry32 (public domain, Tommy Ettinger): 32 bits of state, quick, no more than tests need. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const int = (min: number, max: number): number =>
    min + Math.floor((next() / 2 ** 32) * (max - min + 1));
  return {
    int,
    chance: (probability) => next() / 2 ** 32 < probability,
    pick: (list) => {
      const index = int(0, list.length - 1);
      if (list.length === 0) throw new RangeError('nothing to pick from');
      return list[index] as (typeof list)[number];
    },
    bytes: (count) => {
      const words = new Uint32Array(Math.ceil(count / 4));
      for (let index = 0; index < words.length; index += 1) words[index] = next();
      return Buffer.from(words.buffer, 0, count);
    },
  };
}
