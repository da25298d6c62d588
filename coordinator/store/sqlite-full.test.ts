// The SQLite engine when no page is left: what it refuses, what goes on, and how it recovers. The
// limit is SQLite's own (PRAGMA max_page_count); test/store/store-full.peer.ts fills a real file system.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { put } from './contract-fixture.ts';
import { sqliteStore } from './sqlite.ts';
import { openSqliteFile } from './sqlite-file.ts';

const PAGES = 64;
const large = (n: number) => [put(`twin/${n}`, n), put(`k/${n}`, 'x'.repeat(30_000))];

/** Fills a store, frees space, goes on; throws an AssertionError where a promise is broken. */
async function fillAndFree(open: (path: string) => DatabaseSync): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'billet-full-'));
  let db: DatabaseSync | undefined;
  const store = sqliteStore({
    path: join(directory, 'store.db'),
    open(path) {
      db = open(path);
      db.exec(`PRAGMA max_page_count = ${PAGES}`);
      return db;
    },
  });
  try {
    let full = 0;
    while (full === 0) {
      const { revision } = await store.get('x');
      const done = await store.commit([], large(revision)).catch((error) => error);
      if (done instanceof Error) {
        assert.ok(done instanceof BilletError);
        assert.deepEqual([done.code, done.status, done.retryable], ['STORE_FULL', 507, true]);
        assert.match(done.hint, /free space/);
        full = revision;
      }
    }
    assert.equal((await store.get('x')).revision, full, 'no revision without its commit');
    assert.equal((await store.get(`twin/${full}`)).entry, null, 'nothing half done');
    assert.equal((await store.list('twin/')).entries.length, full, 'reads go on');
    const many = [1, 2, 3].map((n) => store.commit([], large(n + full)));
    for (const one of await Promise.allSettled(many)) assert.equal(one.status, 'rejected');
    await assert.rejects(store.check(), { code: 'STORE_FULL' });
    const before = store.watch('', full, new AbortController().signal)[Symbol.asyncIterator]();
    const next = before.next();
    db?.exec(`PRAGMA max_page_count = ${PAGES * 8}`);
    await assert.doesNotReject(store.check(), 'a check sees that there is space again');
    assert.deepEqual(await store.commit([], large(full)), { revision: full + 1 });
    assert.equal((await next).value?.revision, full + 1, 'who watches goes on without a gap');
  } finally {
    await store.close();
    rmSync(directory, { recursive: true });
  }
}

test('a full store refuses commits whole, is read and watched, and recovers by itself', () =>
  fillAndFree(openSqliteFile));

test('without its transaction, half of the refused commit would stay', () =>
  assert.rejects(
    fillAndFree((path) => {
      const db = openSqliteFile(path);
      const exec = db.exec.bind(db);
      db.exec = (sql) => (/^(?:BEGIN IMMEDIATE|COMMIT)$/.test(sql) ? undefined : exec(sql));
      return db;
    }),
    { code: 'ERR_ASSERTION' },
  ));
