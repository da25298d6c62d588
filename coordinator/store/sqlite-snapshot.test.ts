import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sqliteStore } from './sqlite.ts';
import { inspectSnapshot, lockSqliteFile, renewHistory } from './sqlite-snapshot.ts';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'billet-snapshot-'));
});
after(() => rm(dir, { recursive: true }));

test('a copy taken under constant commits is the store as of one revision', async () => {
  const store = sqliteStore({ path: join(dir, 'busy.sqlite') });
  const filler = JSON.stringify('x'.repeat(2_000));
  for (let part = 0; part < 5; part += 1)
    await store.commit(
      [],
      Array.from({ length: 100 }, (_, n) => ({
        kind: 'put',
        key: `fill/${part}/${n}`,
        value: filler,
      })),
    );
  let running = true;
  // Each commit writes both keys with the same number: a copy of half a commit would show.
  const writer = (async () => {
    for (let n = 0; running; n += 1)
      await store.commit(
        [],
        ['pair/a', 'pair/z'].map((key) => ({ kind: 'put', key, value: `[${n},${filler}]` })),
      );
  })();
  try {
    for (let round = 0; round < 3; round += 1) {
      const path = join(dir, `copy-${round}.sqlite`);
      const taken = await store.snapshot?.(path);
      assert.equal(statSync(path).mode & 0o777, 0o600);
      assert.deepEqual([existsSync(`${path}-wal`), existsSync(`${path}-journal`)], [false, false]);
      assert.deepEqual(inspectSnapshot(path), taken);
      const copy = sqliteStore({ path });
      const [a, z] = [await copy.get('pair/a'), await copy.get('pair/z')];
      assert.equal(a.entry?.value, z.entry?.value);
      assert.equal(a.entry?.revision, z.entry?.revision);
      assert.equal(taken?.revision, a.revision);
      assert.equal(taken?.historyId, store.historyId);
      await copy.close();
    }
  } finally {
    running = false;
    await writer;
    await store.close();
  }
});

test('a copy that cannot be written leaves nothing and the store goes on', async () => {
  const store = sqliteStore({ path: join(dir, 'full.sqlite') });
  await assert.rejects(store.snapshot?.(join(dir, 'no', 'such', 'directory')) ?? assert.fail(), {
    code: 'STORE_FAILED',
  });
  assert.ok(await store.commit([], [{ kind: 'put', key: 'k', value: '1' }]));
  await store.close();
});

test('a store has another history once it was renewed, and the same content', async () => {
  const path = join(dir, 'history.sqlite');
  const store = sqliteStore({ path });
  await store.commit([], [{ kind: 'put', key: 'k', value: '1' }]);
  await store.close();
  const history = renewHistory(path);
  const again = sqliteStore({ path });
  assert.equal(again.historyId, history);
  assert.notEqual(history, store.historyId);
  assert.equal((await again.get('k')).entry?.value, '1');
  await again.close();
});

test('a store that is open is locked, also for who only wants to replace it', async () => {
  const path = join(dir, 'locked.sqlite');
  const store = sqliteStore({ path });
  assert.throws(() => lockSqliteFile(path), { code: 'STORE_LOCKED', hint: /systemctl stop/ });
  await store.close();
  const release = lockSqliteFile(path);
  assert.throws(() => sqliteStore({ path }), { code: 'STORE_LOCKED' });
  release();
  await sqliteStore({ path }).close();
});

test('what is no database cannot be open, and may be replaced', async () => {
  const path = join(dir, 'garbage.sqlite');
  await writeFile(path, 'not a database at all'.repeat(100));
  lockSqliteFile(path)();
});
