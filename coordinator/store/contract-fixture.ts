// What the files of the contract suite share: short writes, and a watcher that stops by itself.

import assert from 'node:assert/strict';
import type { Commit, Store } from './store.ts';

/** Runs `work` on an empty store of the engine, and puts it away. */
export type WithStore = (work: (store: Store) => Promise<void>) => Promise<void>;

export const put = (key: string, value: unknown = 1) =>
  ({ kind: 'put', key, value: JSON.stringify(value) }) as const;
export const drop = (key: string) => ({ kind: 'delete', key }) as const;

const PATIENCE_MS = 30_000;

/** The first `count` commits (marks left out) that a watcher sees; fails when they don't come. */
export async function seen(
  store: Store,
  prefix: string,
  after: number,
  count: number,
): Promise<Commit[]> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PATIENCE_MS)]);
  const commits: Commit[] = [];
  for await (const commit of store.watch(prefix, after, signal)) {
    if (commit.writes.length > 0) commits.push(commit);
    if (commits.length === count) stop.abort();
  }
  assert.equal(commits.length, count);
  return commits;
}
