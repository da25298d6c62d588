// Rules of generations: which is wanted, which were seen ready, which could not run, and whose bytes
// are kept. Pure; the records they work on are written elsewhere.

/** The part of an instance that these rules change. */
export interface Generations {
  readonly generation: number;
  /** Grows when the answer to GET /v1/node/desired changes without a new generation. */
  readonly answer: number;
  /** Whose bytes are stored, ascending. */
  readonly kept: readonly number[];
  /** Seen ready and not rejected since, the newest first. */
  readonly goods: readonly number[];
  readonly rejected: readonly { readonly generation: number; readonly reason: string }[];
}

/** Two, so that one is left when the newest is rejected after it was seen ready. */
const GOODS = 2;
/** A node that boots with an older answer may still be seen ready on it. */
const RECENT = 16;
/** As many as the wire carries. */
const REJECTED = 64;

/** The node wants something else now. */
export const advance = <T extends Generations>(state: T, generation: number): T =>
  keep({ ...state, generation, kept: [...state.kept, generation] });

/**
 * Seen ready at `generation`. Unchanged (the same object) when that is known, was rejected, or is
 * too old for its bytes to be here.
 */
export function confirm<T extends Generations>(state: T, generation: number): T {
  const news =
    state.kept.includes(generation) &&
    !state.goods.includes(generation) &&
    !state.rejected.some((one) => one.generation === generation);
  if (!news) return state;
  const goods = [...state.goods, generation].sort((a, b) => b - a).slice(0, GOODS);
  return goods.includes(generation) ? keep({ ...state, goods, answer: state.answer + 1 }) : state;
}

/** The node could not run `generation`. Unchanged when that is known, or never was asked for. */
export function reject<T extends Generations>(state: T, generation: number, reason: string): T {
  const known = state.rejected.some((one) => one.generation === generation);
  if (known || generation > state.generation) return state;
  return keep({
    ...state,
    goods: state.goods.filter((one) => one !== generation),
    rejected: [...state.rejected, { generation, reason }].slice(-REJECTED),
    answer: state.answer + 1,
  });
}

/** The newest generation that was seen ready, to go back to. */
export const newestGood = (state: Generations): number | null => state.goods[0] ?? null;

/** Of the answer to GET /v1/node/desired; `history` because generations count from 1 in each store. */
export const desiredEtag = (state: Generations, history: string): string =>
  `"${history}.${state.generation}.${state.answer}"`;

const keep = <T extends Generations>(state: T): T => ({
  ...state,
  kept: state.kept.filter((one) => one > state.generation - RECENT || state.goods.includes(one)),
});
