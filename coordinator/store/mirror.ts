// A collection held in memory and kept fresh by its watch, for what is asked on every connection.
// Never writes.

import { EventEmitter, once } from 'node:events';
import { BilletError } from '#shared/errors.ts';
import type { Collection } from './collection.ts';

export interface Mirror<T> {
  get(id: string): T | undefined;
  values(): IterableIterator<T>;
  /** Resolves once every commit to the collection up to `revision`, the last of them, is in. */
  reached(revision: number): Promise<void>;
  /** Resolves when `signal` aborts or the store closes; rejects when a record cannot be read. */
  readonly done: Promise<void>;
}

export interface MirrorOptions<T> {
  readonly signal: AbortSignal;
  /** Called for each record that is new, changed or gone (null), after the mirror has it. */
  readonly onChange?: (id: string, record: T | null) => void;
}

/** Resolves when the mirror holds the collection as of now. */
export async function mirror<T>(
  source: Collection<T>,
  { signal, onChange = () => {} }: MirrorOptions<T>,
): Promise<Mirror<T>> {
  const records = new Map<string, T>();
  const news = new EventEmitter().setMaxListeners(0);
  let seen = await load();

  function set(id: string, record: T | null): void {
    if (record !== null) records.set(id, record);
    else if (!records.delete(id)) return;
    onChange(id, record);
  }

  /** Reads everything, and returns the revision as of which it is complete. */
  async function load(): Promise<number> {
    const present = new Set<string>();
    let page = await source.list();
    for (;;) {
      for (const { id, record } of page.items) {
        present.add(id);
        set(id, record);
      }
      if (page.next === null) break;
      page = await source.list({ after: page.next, revision: page.revision });
    }
    for (const id of [...records.keys()]) if (!present.has(id)) set(id, null);
    return page.revision;
  }

  async function follow(): Promise<void> {
    for await (const { revision, changes } of source.watch(seen, signal)) {
      for (const { id, record } of changes) set(id, record);
      seen = revision;
      news.emit('news');
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted)
      try {
        await follow();
      } catch (error) {
        if (error instanceof BilletError && error.code === 'UNAVAILABLE') return;
        if (!(error instanceof BilletError && error.code === 'COMPACTED')) throw error;
        seen = await load();
      }
  }

  return {
    get: (id) => records.get(id),
    values: () => records.values(),
    async reached(revision) {
      while (seen < revision) await once(news, 'news', { signal });
    },
    done: run(),
  };
}
