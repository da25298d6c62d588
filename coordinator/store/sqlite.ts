// The embedded engine of the store contract: one SQLite file, one process. A commit is acknowledged
// after its transaction is synced; those that wait at the same moment share one.

import { EventEmitter, once } from 'node:events';
import type { DatabaseSync } from 'node:sqlite';
import { BilletError } from '#shared/errors.ts';
import { batch } from './batch.ts';
import {
  assertCommit,
  assertKey,
  assertPrefix,
  assertRevision,
  listOptions,
  MAX_VALUE_BYTES,
} from './limits.ts';
import { compactionTarget, RETENTION, type Retention } from './policy.ts';
import { openSqliteFile, storeFailed } from './sqlite-file.ts';
import { sqliteCopies } from './sqlite-snapshot.ts';
import { sqliteTables } from './sqlite-tables.ts';
import type { Condition, Entry, Store, Write } from './store.ts';

export interface SqliteOptions {
  /** The file, or ':memory:'. */
  readonly path: string;
  readonly retention?: Retention;
  /** Revisions after which the watcher of a quiet prefix gets a progress mark. */
  readonly progressEvery?: number;
  /** How the file is opened: `openSqliteFile`. Tests give a weaker way, to see that it is noticed. */
  readonly open?: (path: string) => DatabaseSync;
}

interface Job {
  readonly conditions: readonly Condition[];
  readonly writes: readonly Write[];
}

const PAGE_BYTES = 4 * 1024 * 1024;

/** Errors of `openSqliteFile`, and those of the contract. */
export function sqliteStore(options: SqliteOptions): Store {
  const { path, retention = RETENTION, progressEvery = 1_000, open = openSqliteFile } = options;
  const db = open(path);
  const tables = sqliteTables(db);
  const copies = sqliteCopies(db);
  const news = new EventEmitter().setMaxListeners(0);
  let closed = false;
  const historyId = tables.historyId();
  let head = tables.head();
  let compacted = tables.compacted();
  /** Whether the newest transaction went in; nobody knows before the first. */
  let isWritable = false;

  /** In a transaction: the revision of each job, or null where a condition does not hold. */
  function apply(jobs: readonly Job[], from: number): (number | null)[] {
    let revision = from;
    return jobs.map(({ conditions, writes }) => {
      if (!conditions.every(tables.holds)) return null;
      let place = 0;
      for (const write of writes) if (tables.write(write, revision + 1, place)) place += 1;
      if (place > 0) revision += 1;
      return revision;
    });
  }

  function write<R>(work: () => R): R {
    try {
      const result = tables.transaction(work);
      isWritable = true;
      return result;
    } catch (cause) {
      isWritable = false;
      throw storeFailed(`cannot write ${path}`, cause);
    }
  }

  const commits = batch<Job, number | null>((jobs) => {
    const done = write(() => {
      const revisions = apply(jobs, head);
      const newHead = revisions.reduce<number>((a, b) => Math.max(a, b ?? 0), head);
      const before = compactionTarget(newHead, compacted, retention);
      if (before !== null) tables.compact(compacted, before);
      return { revisions, newHead, compacted: before ?? compacted };
    });
    ({ newHead: head, compacted } = done);
    news.emit('news');
    return done.revisions;
  }, copies.turn);

  function assertOpen(): void {
    if (closed)
      throw new BilletError('UNAVAILABLE', `the store ${path} is closed`, {
        hint: 'the coordinator is stopping; try again when it is back',
      });
  }

  function assertHistory(revision: number, oldest: number): void {
    assertRevision(revision);
    if (revision < oldest || revision > head)
      throw new BilletError(
        'COMPACTED',
        `revision ${revision} is not in the history of ${oldest} to ${head}`,
        { hint: 'list again and go on from the revision of that list', details: { head } },
      );
  }

  return {
    historyId,

    async get(key) {
      assertOpen();
      assertKey(key);
      return { entry: tables.get(key), revision: head };
    },

    async list(prefix, wanted = {}) {
      assertOpen();
      assertPrefix(prefix);
      const { after, limit } = listOptions(wanted);
      const revision = wanted.revision ?? head;
      assertHistory(revision, compacted);
      const range = { prefix, after };
      const rows = revision === head ? tables.current(range) : tables.asOf(revision, range);
      return { ...page(rows, limit), revision };
    },

    async commit(conditions, writes) {
      assertOpen();
      assertCommit(conditions, writes);
      const revision = await commits.submit({ conditions, writes });
      return revision === null ? null : { revision };
    },

    async *watch(prefix, afterRevision, signal) {
      assertPrefix(prefix);
      let position = afterRevision;
      let reported = afterRevision;
      while (!signal.aborted) {
        assertOpen();
        assertHistory(position, Math.max(0, compacted - 1));
        const upTo = head;
        const found = tables.commitsAfter(position, prefix, PAGE_BYTES);
        for (const commit of found) {
          position = reported = commit.revision;
          yield commit;
          if (signal.aborted) return;
        }
        if (found.length > 0) continue;
        position = upTo;
        if (position - reported >= progressEvery) {
          reported = position;
          yield { revision: position, writes: [] };
        }
        if (position === head && !signal.aborted && !closed)
          await once(news, 'news', { signal }).catch(() => null);
      }
    },

    async compact(beforeRevision) {
      assertOpen();
      assertRevision(beforeRevision);
      await commits.idle();
      const before = Math.min(beforeRevision, head);
      while (compacted < before && !closed) {
        const next = Math.min(before, compacted + retention.step);
        write(() => tables.compact(compacted, next));
        compacted = next;
        news.emit('news');
        await copies.turn();
      }
    },

    async check() {
      assertOpen();
      if (isWritable) return;
      // As much as the largest value: a disk with room for a small commit alone is full.
      write(() => tables.addBallast(MAX_VALUE_BYTES));
      write(tables.dropBallast);
    },

    async snapshot(file) {
      assertOpen();
      return await copies.take(file);
    },

    async close() {
      if (closed) return;
      closed = true;
      await commits.idle();
      news.emit('news');
      db.close();
    },
  };
}

/** As many entries as fit; a page has at least one. */
function page(rows: Iterable<Entry>, limit: number) {
  const entries: Entry[] = [];
  let bytes = 0;
  for (const entry of rows) {
    const last = entries.at(-1);
    if (last && (entries.length === limit || bytes >= PAGE_BYTES))
      return { entries, next: last.key };
    entries.push(entry);
    bytes += entry.value.length;
  }
  return { entries, next: null };
}
