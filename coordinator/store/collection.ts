// One kind of record: typed, validated, versioned, and changed only through compare-and-set. Knows
// no engine and keeps nothing in memory.

import type { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { type Migrations, recordCodec } from './record.ts';
import type { Condition, Entry, ListOptions, Store, Write } from './store.ts';
import { transact } from './transact.ts';

export interface CollectionOptions<T> {
  /** Keys are `<prefix>/<id>`. */
  readonly prefix: string;
  readonly schema: z.ZodType<T>;
  /** Guards the keys: what comes from outside is parsed before it becomes part of one. */
  readonly id: z.ZodType<string>;
  /** The version that `schema` describes, from 1. */
  readonly version: number;
  /** `migrations[n]` makes version n + 1 of version n; one for each version before `version`. */
  readonly migrations?: Migrations;
}

/** A record as read: its id, itself, and the revision that last wrote it. */
export interface Found<T> {
  readonly id: string;
  readonly record: T;
  readonly revision: number;
}

/** One write and what must hold for it: parts of a commit that `commitAll` takes. */
export interface Change {
  readonly condition: Condition;
  readonly write: Write;
}

export type Collection<T> = ReturnType<typeof collection<T>>;

/** The revision to give for a record that must not exist yet. */
export const ABSENT = 0;

export function collection<T>(store: Store, options: CollectionOptions<T>) {
  const { prefix, id } = options;
  const codec = recordCodec(options);
  const key = (name: string) => `${prefix}/${id.parse(name)}`;

  const found = (entry: Entry): Found<T> => ({
    id: entry.key.slice(prefix.length + 1),
    record: codec.decode(entry.key, entry.value),
    revision: entry.revision,
  });

  /** Writes `record` if it still stands at revision `at` (ABSENT: if there is none). */
  const put = (name: string, record: T, at: number): Change => ({
    condition: { key: key(name), revision: at },
    write: { kind: 'put', key: key(name), value: codec.encode(record) },
  });

  /** Deletes the record if it still stands at revision `at`. */
  const drop = (name: string, at: number): Change => ({
    condition: { key: key(name), revision: at },
    write: { kind: 'delete', key: key(name) },
  });

  async function get(name: string): Promise<Found<T> | null> {
    const { entry } = await store.get(key(name));
    return entry && found(entry);
  }

  /** One page. `after` and `next` are ids; `under` is what the ids start with. */
  async function list(page: ListOptions & { readonly under?: string } = {}) {
    const { after, under = '', ...rest } = page;
    const from = after === undefined ? {} : { after: key(after) };
    const range = `${prefix}/${under}`;
    const { entries, revision, next } = await store.list(range, { ...rest, ...from });
    return {
      items: entries.map(found),
      revision,
      next: next === null ? null : next.slice(prefix.length + 1),
    };
  }

  return {
    prefix,
    version: options.version,
    key,
    put,
    drop,
    get,
    list,
    /** What a stored entry of this collection holds. */
    read: found,

    /** Every entry as it is stored, for who needs to decode only what changed; as of one revision. */
    async *entries(): AsyncGenerator<Entry> {
      let page = await store.list(`${prefix}/`);
      yield* page.entries;
      while (page.next !== null) {
        page = await store.list(`${prefix}/`, { after: page.next, revision: page.revision });
        yield* page.entries;
      }
    },

    /** Every record (whose id starts with `under`), in the order of ids, all as of one revision. */
    async *all(under = ''): AsyncGenerator<Found<T>> {
      let page = await list({ under });
      yield* page.items;
      while (page.next !== null) {
        page = await list({ under, after: page.next, revision: page.revision });
        yield* page.items;
      }
    },

    /** CONFLICT when a record of that id exists. */
    async create(name: string, record: T): Promise<Found<T>> {
      const done = await commitAll(store, [put(name, record, ABSENT)]);
      if (done) return { id: name, record, revision: done.revision };
      throw new BilletError('CONFLICT', `${key(name)} exists`, {
        hint: 'choose another name, or change the record that is there',
      });
    },

    /**
     * Writes what `change` makes of the record, and returns it; null when `change` declines.
     * `change` is pure: it runs again, on the newer record, whenever another writer came first.
     */
    async update(name: string, change: (current: T | null) => T | null): Promise<Found<T> | null> {
      return transact(store, key(name), async () => {
        const current = await get(name);
        const record = change(current?.record ?? null);
        if (record === null) return null;
        return {
          changes: [put(name, record, current?.revision ?? ABSENT)],
          result: (revision) => ({ id: name, record, revision }),
        };
      });
    },

    /** False when there was none. */
    async remove(name: string): Promise<boolean> {
      const removed = await transact(store, key(name), async () => {
        const current = await get(name);
        return current && { changes: [drop(name, current.revision)], result: () => true };
      });
      return removed ?? false;
    },

    /**
     * Each commit after `afterRevision` that touches these records: the record as written, or null
     * for a deleted one. Marks of progress have no changes. Ends as `Store.watch` does.
     */
    async *watch(afterRevision: number, signal: AbortSignal) {
      for await (const { revision, writes } of store.watch(`${prefix}/`, afterRevision, signal))
        yield {
          revision,
          changes: writes.map((write) => ({
            id: write.key.slice(prefix.length + 1),
            record: write.kind === 'put' ? codec.decode(write.key, write.value) : null,
          })),
        };
    },
  };
}

/** All changes or none, of one collection or several; null when one of them came too late. */
export const commitAll = (store: Store, changes: readonly Change[]) =>
  store.commit(
    changes.map((change) => change.condition),
    changes.map((change) => change.write),
  );
