// Cuts the power at every point of a recorded trace, opens what is left with the real store, and says
// what is wrong with it. Knows the workload; starts nothing.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type SqliteOptions, sqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Store } from '../../coordinator/store/store.ts';
import { type Disk, disk, type PowerCut } from './store-disk.ts';
import type { DiskEvent } from './store-trace.ts';
import { expectations, RETENTION } from './store-workload.ts';

const { states, commits } = expectations();

/** What the process had said when the power went. */
interface Said {
  /** Of the store; null before it was opened for the first time. */
  readonly history: string | null;
  /** Revision that was acknowledged, and the last one asked for. */
  readonly acknowledged: number;
  readonly tried: number;
  /** Before which history may be gone. */
  readonly compacted: number;
}

export interface Replayed {
  readonly cuts: number;
  /** Different disks among them. */
  readonly images: number;
  /** One a cut that lost or broke something: where, how, what. */
  readonly failures: readonly string[];
}

export interface ReplayOptions {
  /** Emptied and filled again for each disk; on a memory file system, if there is one. */
  readonly directory: string;
  /** The name of the store's file in the trace. */
  readonly file: string;
  readonly ways: readonly Omit<PowerCut, 'random'>[];
  readonly seed: number;
  /** Every how many-th event the power is cut; 1 is each. */
  readonly stride?: number;
  /** Stop at so many failures. */
  readonly failuresMax?: number;
}

/** Cuts before each event and after the last, once for each of `ways`. */
export async function replay(
  events: readonly DiskEvent[],
  options: ReplayOptions,
): Promise<Replayed> {
  const { ways, stride = 1, failuresMax = Number.POSITIVE_INFINITY } = options;
  const random = chance(options.seed);
  const failures: string[] = [];
  const seen = new Set<string>();
  const now: Disk = disk();
  let said: Said = { history: null, acknowledged: 0, tried: 0, compacted: 0 };
  let cuts = 0;
  for (const [at, event] of [...events, null].entries()) {
    // What is said changes no disk: the strictest moment is after it.
    if (event?.kind !== 'said' && at % stride === 0)
      for (const way of ways) {
        cuts += 1;
        const image = now.afterPowerCut({ ...way, random });
        const print = fingerprint(image, said);
        if (seen.has(print)) continue;
        seen.add(print);
        const wrong = await judge(image, said, options, seen.size % 5 === 0);
        if (wrong !== null) failures.push(`before event ${at}, ${JSON.stringify(way)}: ${wrong}`);
        if (failures.length >= failuresMax) return { cuts, images: seen.size, failures };
      }
    if (event?.kind === 'said') said = heard(said, event.text);
    else if (event) now.apply(event);
  }
  return { cuts, images: seen.size, failures };
}

function heard(said: Said, text: string): Said {
  const [verb, word = ''] = text.split(' ');
  if (verb === 'open') return { ...said, history: word };
  if (verb === 'try') return { ...said, tried: Number(word) };
  if (verb === 'compact') return { ...said, compacted: Number(word) };
  if (verb === 'ack') return { ...said, acknowledged: Number(word) };
  return said;
}

/** Null when the store is all that it promised; else what is not. */
async function judge(
  image: ReadonlyMap<string, Buffer>,
  said: Said,
  { directory, file }: ReplayOptions,
  alsoWrites: boolean,
): Promise<string | null> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
  for (const [name, bytes] of image) writeFileSync(join(directory, name), bytes);
  const options: SqliteOptions = { path: join(directory, file), retention: RETENTION };
  try {
    const head = await opened(options, async (store) => {
      const found = await check(store, said);
      if (alsoWrites) assert.equal((await store.commit([], [MORE]))?.revision, found + 1);
      return found;
    });
    if (alsoWrites)
      await opened(options, async (store) => {
        assert.deepEqual((await store.get(MORE.key)).revision, head + 1);
      });
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 300) : String(error);
  }
}

const MORE = { kind: 'put', key: 'more', value: '"afterwards"' } as const;

async function opened<T>(options: SqliteOptions, work: (store: Store) => Promise<T>): Promise<T> {
  const store = sqliteStore(options);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function check(store: Store, said: Said): Promise<number> {
  if (said.history !== null) assert.equal(store.historyId, said.history, 'the history id');
  const { entries, revision: head } = await store.list('');
  assert.ok(head >= said.acknowledged, `revision ${head}, acknowledged was ${said.acknowledged}`);
  assert.ok(head <= said.tried, `revision ${head}, asked for was ${said.tried}`);
  assert.deepEqual(entries, states[head], `the entries at revision ${head}`);
  const oldest = await oldestRevision(store, head);
  assert.ok(oldest <= Math.max(0, head - RETENTION.keep, said.compacted), 'history is kept');
  const then = await store.list('', { revision: oldest });
  assert.deepEqual(then.entries, states[oldest], `the entries as of revision ${oldest}`);
  const stop = new AbortController();
  let expected = oldest;
  if (expected < head)
    for await (const { revision, writes } of store.watch('', oldest, stop.signal)) {
      expected += 1;
      assert.equal(revision, expected, 'revisions without a gap');
      assert.deepEqual(writes, commits[revision], `the commit of revision ${revision}`);
      if (revision === head) stop.abort();
    }
  return head;
}

async function oldestRevision(store: Store, head: number): Promise<number> {
  for (let revision = 0; revision < head; revision += 1)
    try {
      await store.list('none/', { revision });
      return revision;
    } catch {
      // COMPACTED: a later one.
    }
  return head;
}

function fingerprint(image: ReadonlyMap<string, Buffer>, said: Said): string {
  const hash = createHash('sha256').update(JSON.stringify(said));
  for (const [name, bytes] of image) hash.update(`${name} ${bytes.length}\0`).update(bytes);
  return hash.digest('hex');
}

/** mulberry32: the same numbers for the same seed, so that a failure can be seen again. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
