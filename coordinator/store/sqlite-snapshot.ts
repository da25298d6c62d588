// Copies of the SQLite engine's file: taken while it is written to, looked into, and given a history of
// their own. Knows nothing of what the records in them mean.

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, rmSync } from 'node:fs';
import { backup, DatabaseSync } from 'node:sqlite';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { BilletError } from '#shared/errors.ts';
import { openSqliteFile, sqliteCode, storeFailed } from './sqlite-file.ts';
import { sqliteTables } from './sqlite-tables.ts';
import type { Snapshot } from './store.ts';

/** Pages copied at a time; commits run in between. 1 MiB of 4 KiB pages. */
const PAGES_AT_ONCE = 256;
/** How long a commit lets a copy go first. */
const STEP_MAX_MS = 50;
const FIRST_STEPS_MAX = 20;
const LOCK_TIMEOUT_MS = 200;
const SQLITE_BUSY = 5;

export interface SqliteCopies {
  /**
   * Copies the database to the new file `path` (mode 0600, one file without a write-ahead log) while
   * it is read and written. What it holds is the store as of one revision, at the end. STORE_FULL,
   * STORE_FAILED, and then there is no file.
   */
  take(path: string): Promise<Snapshot>;
  /**
   * When the next transaction may begin: at the next turn of the event loop, or after a step of the
   * copy that is under way. A step inside a transaction is refused and tried again (sqlite3_backup_step,
   * SQLITE_LOCKED), so that one transaction after the other would keep a copy from ever getting on.
   */
  turn(): Promise<void>;
}

export function sqliteCopies(db: DatabaseSync): SqliteCopies {
  let underWay = 0;
  let waiting: (() => void)[] = [];
  const stepped = () => {
    for (const go of waiting) go();
    waiting = [];
  };

  async function copy(path: string): Promise<Snapshot> {
    try {
      closeSync(openSync(path, 'wx', 0o600));
      await begun(() => backup(db, path, { rate: PAGES_AT_ONCE, progress: stepped }));
      return inspect(path, 'PRAGMA journal_mode = DELETE');
    } catch (cause) {
      rmSync(path, { force: true });
      throw cause instanceof BilletError
        ? cause
        : storeFailed(`cannot copy the store to ${path}`, cause);
    }
  }

  return {
    async take(path) {
      underWay += 1;
      try {
        return await copy(path);
      } finally {
        underWay -= 1;
        stepped();
      }
    },

    async turn() {
      if (underWay === 0) return await setImmediate();
      const limit = new AbortController();
      const step = new Promise<void>((resolve) => waiting.push(resolve));
      const late = setTimeout(STEP_MAX_MS, undefined, { signal: limit.signal }).catch(
        () => undefined,
      );
      await Promise.race([step, late]);
      limit.abort();
    },
  };
}

/**
 * node:sqlite tries a step again that fell into a transaction, except for the first one: that one is an
 * error then, of the code 0, and nothing was copied.
 */
async function begun(copy: () => Promise<unknown>): Promise<void> {
  for (let tries = 1; ; tries += 1)
    try {
      await copy();
      return;
    } catch (cause) {
      if ((cause as { errcode?: number }).errcode !== 0 || tries === FIRST_STEPS_MAX) throw cause;
      await setImmediate();
    }
}

/** Looks into a copy and checks each of its pages. STORE_CORRUPT, STORE_NEWER, STORE_FAILED. */
export function inspectSnapshot(path: string): Snapshot {
  const found = inspect(path, null);
  const db = openSqliteFile(path);
  try {
    const [first] = Object.values(db.prepare('PRAGMA integrity_check(1)').get() ?? {});
    if (first === 'ok') return found;
    throw new BilletError('STORE_CORRUPT', `${path} is damaged: ${String(first)}`, {
      hint: 'take another backup',
    });
  } finally {
    db.close();
  }
}

function inspect(path: string, statement: string | null): Snapshot {
  const db = openSqliteFile(path);
  try {
    const tables = sqliteTables(db);
    const found = { historyId: tables.historyId(), revision: tables.head() };
    if (statement !== null) db.exec(`PRAGMA locking_mode = NORMAL; ${statement}`);
    return found;
  } finally {
    db.close();
  }
}

/**
 * Gives the closed store at `path` a new history: revisions, ETags and generations of the old one are
 * those of another store from now on. Returns the new id.
 */
export function renewHistory(path: string): string {
  const db = openSqliteFile(path);
  try {
    const history = randomBytes(16).toString('hex');
    db.prepare("UPDATE meta SET value = ? WHERE name = 'history'").run(history);
    return history;
  } catch (cause) {
    throw storeFailed(`cannot write ${path}`, cause);
  } finally {
    db.close();
  }
}

/**
 * Keeps other processes from opening the store at `path`, whatever its version, until the result is
 * called. A file that is no SQLite database cannot be open anywhere. STORE_LOCKED.
 */
export function lockSqliteFile(path: string): () => void {
  const db = new DatabaseSync(path, { timeout: LOCK_TIMEOUT_MS });
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (cause) {
    if (sqliteCode(cause) !== SQLITE_BUSY) return () => db.close();
    db.close();
    throw new BilletError('STORE_LOCKED', `another process has ${path} open`, {
      hint: 'stop the coordinator first: systemctl stop billet-coordinator',
      cause,
    });
  }
  return () => db.close();
}
