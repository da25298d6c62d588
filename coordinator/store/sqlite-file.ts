// Opens the one file of the SQLite engine: alone, durable, of a known version. Knows the tables but
// none of the statements that use them.
//
//   entries   key -> id of its newest version               what is
//   versions  id  -> key, value (null: deleted), previous   what was, back to the compacted revision
//   meta      history (random id), compacted (revision)
//
// A version's id is revision * 128 + its place in the commit: a commit has at most 100 writes, so the
// row id alone orders history and finds a revision.

import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { BilletError } from '#shared/errors.ts';

export const IN_MEMORY = ':memory:';

/** 'Bilt', in the header of each store file: PRAGMA application_id. */
const APPLICATION_ID = 0x42696c74;
const BUSY_TIMEOUT_MS = 500;
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** `MIGRATIONS[n]` makes schema n + 1 of schema n; PRAGMA user_version says which a file has. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE entries (key TEXT PRIMARY KEY, id INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE versions (
     id INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT, previous INTEGER
   ) STRICT;
   CREATE INDEX versions_by_key ON versions (key);
   INSERT INTO meta VALUES ('compacted', 0);`,
  // The same tables. From 2 on a stamp says which records there are (coordinator/upgrade/stamp.ts):
  // 0.1.0, which does not read it, knows 1 only, and leaves such a store alone.
  '',
];

/**
 * The database behind `path`, held by this process alone until it is closed. A missing file is made
 * with mode 0600. STORE_LOCKED when another process has it, STORE_NEWER when its schema is unknown,
 * STORE_CORRUPT when it is no store of Billet.
 */
export function openSqliteFile(path: string): DatabaseSync {
  try {
    if (path !== IN_MEMORY) makePrivate(path);
    const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    try {
      prepare(db, path);
    } catch (error) {
      db.close();
      throw error;
    }
    return db;
  } catch (cause) {
    throw cause instanceof BilletError ? cause : openError(path, cause);
  }
}

function makePrivate(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  chmodSync(path, 0o600);
}

function prepare(db: DatabaseSync, path: string): void {
  // In this order: an exclusive connection to a WAL file never shares memory and never lets go.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  const application = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  if (application !== APPLICATION_ID && !(application === 0 && isEmpty(db)))
    throw new BilletError('STORE_CORRUPT', `${path} is not a store of Billet`, {
      hint: 'name another file in the configuration',
    });
  if (version > MIGRATIONS.length)
    throw new BilletError(
      'STORE_NEWER',
      `${path} has store schema ${version}, known is ${MIGRATIONS.length}`,
      { hint: 'run the version of Billet that wrote it, or a newer one' },
    );
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536');
  migrate(db, version);
}

/**
 * One transaction, which also takes the lock that keeps other processes out. Writes only what is
 * missing, so that a store on a full disk can still be opened and read.
 */
function migrate(db: DatabaseSync, version: number): void {
  db.exec('BEGIN EXCLUSIVE');
  if (version < MIGRATIONS.length) {
    for (const statements of MIGRATIONS.slice(version)) db.exec(statements);
    const history = randomBytes(16).toString('hex');
    db.prepare("INSERT OR IGNORE INTO meta VALUES ('history', ?)").run(history);
    db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  }
  db.exec('COMMIT');
}

const pragma = (db: DatabaseSync, name: string) =>
  Number(Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]);

const isEmpty = (db: DatabaseSync) => db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;

/** SQLite's primary result code (sqlite.org/rescode.html); 0 for an error of another kind. */
export const sqliteCode = (error: unknown): number =>
  error instanceof Error && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode & 0xff
    : 0;

function openError(path: string, cause: unknown): BilletError {
  const code = sqliteCode(cause);
  if (code === SQLITE_BUSY)
    return new BilletError('STORE_LOCKED', `another process has ${path} open`, {
      hint: 'stop the other coordinator, or give this one a state directory of its own',
      cause,
    });
  if (code === SQLITE_NOTADB)
    return new BilletError('STORE_CORRUPT', `${path} is not an SQLite file`, {
      hint: 'restore it from a copy, or name another file in the configuration',
      cause,
    });
  return storeFailed(`cannot open ${path}`, cause);
}

/** What the disk or SQLite refused, as a coded error: STORE_FULL or STORE_FAILED. */
export function storeFailed(what: string, cause: unknown): BilletError {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (sqliteCode(cause) === SQLITE_FULL)
    return new BilletError('STORE_FULL', `${what}: ${why}`, {
      hint: 'free space under the state directory (df, du); nothing was changed, and reads go on',
      cause,
    });
  return new BilletError('STORE_FAILED', `${what}: ${why}`, {
    hint: 'look at the disk under the state directory: space, permissions, errors in dmesg',
    cause,
  });
}
