// The statements of the SQLite engine, each as a synchronous function. Opens nothing, decides
// nothing, and begins no transaction by itself.

import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Commit, Condition, Entry, Write } from './store.ts';

const PLACES = 128;
/** After every printable ASCII character. */
const END = '\x7f';
/** Before every one of them: with it, the least key after another. */
const NEXT = '\x01';

const idOf = (revision: number, place = 0) => revision * PLACES + place;
const revisionOf = (id: SQLOutputValue | undefined) => Math.floor(Number(id) / PLACES);

export interface Range {
  readonly prefix: string;
  /** Keys up to this one are left out. */
  readonly after: string;
}

/** One bound at each end: of two lower ones SQLite seeks by the first, be it the looser one. */
const boundsOf = ({ prefix, after }: Range): [string, string] => [
  after >= prefix ? after + NEXT : prefix,
  prefix + END,
];

export function sqliteTables(db: DatabaseSync) {
  const newest = db.prepare('SELECT id FROM entries WHERE key = ?');
  const insert = db.prepare('INSERT INTO versions (id, key, value, previous) VALUES (?, ?, ?, ?)');
  const point = db.prepare(
    'INSERT INTO entries VALUES (?, ?) ON CONFLICT DO UPDATE SET id = excluded.id',
  );
  const forget = db.prepare('DELETE FROM entries WHERE key = ?');
  const read = db.prepare(
    'SELECT e.key, e.id, v.value FROM entries e JOIN versions v USING (id) WHERE e.key = ?',
  );
  const listNow = db.prepare(
    `SELECT e.key, e.id, v.value FROM entries e CROSS JOIN versions v USING (id)
     WHERE e.key >= ? AND e.key < ? ORDER BY e.key`,
  );
  // The bare columns of a query with one max() are those of its row (sqlite.org/lang_select.html).
  const listThen = db.prepare(
    `SELECT key, max(id) AS id, value FROM versions INDEXED BY versions_by_key
     WHERE key >= ? AND key < ? AND id < ? GROUP BY key ORDER BY key`,
  );
  const history = db.prepare(
    'SELECT id, key, value FROM versions WHERE id >= ? AND +key >= ? AND +key < ? ORDER BY id',
  );
  const dropReplaced = db.prepare(
    `DELETE FROM versions WHERE id IN
       (SELECT previous FROM versions WHERE id >= ? AND id < ? AND previous IS NOT NULL)`,
  );
  const dropDeletions = db.prepare(
    'DELETE FROM versions WHERE id >= ? AND id < ? AND value IS NULL',
  );
  const meta = db.prepare('SELECT value FROM meta WHERE name = ?');
  const setCompacted = db.prepare("UPDATE meta SET value = ? WHERE name = 'compacted'");
  const addBallast = db.prepare("INSERT OR REPLACE INTO meta VALUES ('ballast', zeroblob(?))");
  const dropBallast = db.prepare("DELETE FROM meta WHERE name = 'ballast'");
  const head = db.prepare('SELECT max(id) AS id FROM versions');

  const toEntry = (row: Record<string, SQLOutputValue>): Entry => ({
    key: String(row.key),
    value: String(row.value),
    revision: revisionOf(row.id),
  });

  return {
    historyId: () => String(meta.get('history')?.value),
    compacted: () => Number(meta.get('compacted')?.value),
    head: () => revisionOf(head.get()?.id ?? 0),

    holds: ({ key, revision }: Condition) => revisionOf(newest.get(key)?.id ?? 0) === revision,

    get(key: string): Entry | null {
      const row = read.get(key);
      return row ? toEntry(row) : null;
    },

    /** False when there was nothing to delete: then nothing was written. */
    write(write: Write, revision: number, place: number): boolean {
      const previous = newest.get(write.key)?.id ?? null;
      if (write.kind === 'delete' && previous === null) return false;
      const id = idOf(revision, place);
      insert.run(id, write.key, write.kind === 'put' ? write.value : null, previous);
      if (write.kind === 'put') point.run(write.key, id);
      else forget.run(write.key);
      return true;
    },

    *current(range: Range): Generator<Entry> {
      for (const row of listNow.iterate(...boundsOf(range))) yield toEntry(row);
    },

    *asOf(revision: number, range: Range): Generator<Entry> {
      for (const row of listThen.iterate(...boundsOf(range), idOf(revision + 1)))
        if (row.value !== null) yield toEntry(row);
    },

    /** Commits after `revision` that touch `prefix`, whole, until `enough` bytes of values are read. */
    commitsAfter(revision: number, prefix: string, enough: number): Commit[] {
      const commits: (Commit & { writes: Write[] })[] = [];
      let bytes = 0;
      for (const row of history.iterate(idOf(revision + 1), prefix, prefix + END)) {
        const at = revisionOf(row.id);
        if (commits.at(-1)?.revision !== at) {
          if (bytes >= enough) break;
          commits.push({ revision: at, writes: [] });
        }
        const key = String(row.key);
        const value = row.value === null ? null : String(row.value);
        bytes += key.length + (value?.length ?? 0);
        commits
          .at(-1)
          ?.writes.push(value === null ? { kind: 'delete', key } : { kind: 'put', key, value });
      }
      return commits;
    },

    /** Forgets the versions that were replaced from revision `from` up to `before`, both included. */
    compact(from: number, before: number): void {
      dropReplaced.run(idOf(from), idOf(before + 1));
      dropDeletions.run(idOf(from), idOf(before));
      setCompacted.run(before);
    },

    /** Each in a transaction of its own: what is added and dropped in one never meets the disk. */
    addBallast: (bytes: number) => void addBallast.run(bytes),
    dropBallast: () => void dropBallast.run(),

    /** All of `work` or none of it. */
    transaction<R>(work: () => R): R {
      db.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        db.exec('COMMIT');
        return result;
      } catch (error) {
        if (db.isTransaction) db.exec('ROLLBACK');
        throw error;
      }
    },
  };
}
