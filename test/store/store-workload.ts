// What the traced store commits, commit by commit, and what must be in it after each. Pure: the child
// that writes and the test that checks agree by calling the same functions.

import type { Entry, Write } from '../../coordinator/store/store.ts';

/** Commits asked for at one moment share a transaction: the last `n % 10` of each ten are such a group. */
export const COMMITS = 90;
export const RETENTION = { keep: 25, step: 5 };
/** Before this commit the store is closed and opened again. */
export const REOPENED_AT = 60;
const KEYS = 13;

const value = (n: number, length: number) =>
  JSON.stringify(String.fromCharCode(97 + (n % 26)).repeat(length));

/** The writes of the commit that becomes revision `n`: several keys, one of them large at times. */
export function writesOf(n: number): readonly Write[] {
  const put = (key: string, length: number) =>
    ({ kind: 'put', key, value: value(n, length) }) as const;
  const gone = `k/${(n * 7 + 3) % KEYS}`;
  const kept = `k/${(n * 5) % KEYS}`;
  return [
    put(`pair/a-${n % 3}`, 10 + (n % 50)),
    put(`pair/b-${n % 3}`, 10 + (n % 50)),
    ...(kept === gone ? [] : [put(kept, n % 6 === 0 ? 9_000 : 40)]),
    ...(n % 4 === 0 ? [{ kind: 'delete', key: gone } as const] : []),
  ];
}

/** Which commits are asked for together: 1, 2, 3, 4, 5, [6…10], 11 … */
export function groups(): readonly (readonly number[])[] {
  const out: number[][] = [];
  for (let n = 1; n <= COMMITS; n += 1) {
    const place = (n - 1) % 10;
    if (place > 5) out.at(-1)?.push(n);
    else out.push([n]);
  }
  return out;
}

/** The entries after each revision from 0, in key order, and what each commit really wrote. */
export function expectations(): {
  readonly states: readonly (readonly Entry[])[];
  readonly commits: readonly (readonly Write[])[];
} {
  let state = new Map<string, Entry>();
  const states: Entry[][] = [[]];
  const commits: Write[][] = [[]];
  for (let revision = 1; revision <= COMMITS; revision += 1) {
    const real = writesOf(revision).filter(({ kind, key }) => kind === 'put' || state.has(key));
    state = new Map(state);
    for (const write of real)
      if (write.kind === 'put')
        state.set(write.key, { key: write.key, value: write.value, revision });
      else state.delete(write.key);
    commits.push(real);
    states.push([...state.values()].sort((a, b) => (a.key < b.key ? -1 : 1)));
  }
  return { states, commits };
}
