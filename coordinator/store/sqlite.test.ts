// The SQLite engine under the contract suite, and what only a file can show: locks, crashes, modes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#shared/clock.ts';
import { storeContract } from './contract.ts';
import { put } from './contract-fixture.ts';
import { sqliteStore } from './sqlite.ts';
import { IN_MEMORY } from './sqlite-file.ts';

const CRASH_CHILD = fileURLToPath(import.meta.resolve('./crash-child.ts'));

async function withFile(work: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'billet-store-'));
  try {
    await work(join(directory, 'store.db'));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

storeContract('sqlite', async (work) => {
  const store = sqliteStore({ path: IN_MEMORY, progressEvery: 20 });
  try {
    await work(store);
  } finally {
    await store.close();
  }
});

test('a store opened again has its history id, its revision and its history', () =>
  withFile(async (path) => {
    const first = sqliteStore({ path });
    for (const value of [1, 2, 3]) await first.commit([], [put('k', value)]);
    await first.compact(2);
    await first.close();
    const again = sqliteStore({ path });
    assert.equal(again.historyId, first.historyId);
    assert.deepEqual((await again.get('k')).entry, { key: 'k', value: '3', revision: 3 });
    assert.equal((await again.list('', { revision: 2 })).entries[0]?.value, '2');
    await assert.rejects(again.list('', { revision: 1 }), { code: 'COMPACTED' });
    assert.deepEqual(await again.commit([], [put('k', 4)]), { revision: 4 });
    await again.close();
  }));

test('the file and what SQLite puts beside it are for the owner only', () =>
  withFile(async (path) => {
    writeFileSync(path, '', { mode: 0o644 });
    const store = sqliteStore({ path });
    await store.commit([], [put('k')]);
    for (const file of [path, `${path}-wal`]) assert.equal(statSync(file).mode & 0o777, 0o600);
    await store.close();
  }));

test('a file that is open is refused to a second coordinator', () =>
  withFile(async (path) => {
    const store = sqliteStore({ path });
    const child = spawn(process.execPath, [CRASH_CHILD, path], { timeout: 10_000 });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    await new Promise((resolve) => child.once('close', resolve));
    assert.match(said, /STORE_LOCKED/);
    assert.throws(() => sqliteStore({ path }), { code: 'STORE_LOCKED' });
    assert.ok(await store.commit([], [put('k')]));
    await store.close();
  }));

test('a file that is no store, or one of a newer Billet, is refused and left as it is', () =>
  withFile(async (path) => {
    writeFileSync(path, 'not a database, but long enough to look like one to SQLite'.repeat(20));
    assert.throws(() => sqliteStore({ path }), { code: 'STORE_CORRUPT' });
    rmSync(path);
    const foreign = new DatabaseSync(path);
    foreign.exec('CREATE TABLE t (x)');
    foreign.close();
    assert.throws(() => sqliteStore({ path }), { code: 'STORE_CORRUPT' });
    rmSync(path);
    await sqliteStore({ path }).close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    assert.throws(() => sqliteStore({ path }), { code: 'STORE_NEWER', hint: /newer/ });
    assert.throws(() => sqliteStore({ path: join(path, 'x') }), { code: 'STORE_FAILED' });
  }));

test('history beyond the retention is compacted as commits go on', async () => {
  const store = sqliteStore({ path: IN_MEMORY, retention: { keep: 50, step: 10 } });
  for (let n = 1; n <= 200; n += 1) await store.commit([], [put('k', n)]);
  await assert.rejects(store.list('', { revision: 130 }), { code: 'COMPACTED' });
  assert.equal((await store.list('', { revision: 150 })).entries[0]?.value, '150');
  await store.close();
});

test('a process killed in the middle of commits loses none that it acknowledged', () =>
  withFile(async (path) => {
    for (let round = 0; round < 3; round += 1) {
      const acknowledged = await killedAfter(path, 400 * (round + 1));
      const store = sqliteStore({ path });
      for (const [key, value] of acknowledged)
        assert.equal((await store.get(key)).entry?.value, value, key);
      const { revision } = await store.get('x');
      assert.ok(revision >= acknowledged.size);
      const commits = await store.list('pair-a/', { limit: 1000 });
      const twins = await store.list('pair-b/', { limit: 1000 });
      assert.deepEqual(
        commits.entries.map((e) => e.value),
        twins.entries.map((e) => e.value),
      );
      await store.close();
    }
  }));

/** Keys and values that the child said were durable before it was killed. */
async function killedAfter(path: string, count: number): Promise<Map<string, string>> {
  const child = spawn(process.execPath, [CRASH_CHILD, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
  });
  const acknowledged = new Map<string, string>();
  for await (const line of createInterface(child.stdout)) {
    const [key = '', value = ''] = line.split(' ');
    acknowledged.set(key, value);
    if (acknowledged.size === count) child.kill('SIGKILL');
  }
  assert.ok(acknowledged.size >= count);
  return acknowledged;
}

test('a list reads what is under its prefix, however much stands before it', async () => {
  const store = sqliteStore({ path: IN_MEMORY });
  const [before, own] = [20_000, 10];
  for (let at = 0; at < before; at += 100)
    await store.commit(
      [],
      Array.from({ length: 100 }, (_, n) => put(`a/${at + n}`)),
    );
  for (const prefix of ['', 'z/'])
    await store.commit(
      [],
      Array.from({ length: own }, (_, n) => put(`${prefix}0/${n}`)),
    );
  const { revision } = await store.get('a/0');
  const millisecondsOf = async (prefix: string, at: object) => {
    const times: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      const since = systemClock.monotonic();
      assert.equal((await store.list(prefix, at)).entries.length, own);
      times.push(systemClock.monotonic() - since);
    }
    return times.toSorted((one, other) => one - other)[2] ?? 0;
  };
  // The first keys of the store, and its last ones; read through, they are hundreds of times slower.
  for (const at of [{}, { revision }]) {
    const [first, last] = [await millisecondsOf('0/', at), await millisecondsOf('z/', at)];
    assert.ok(last < 10 * first + 0.2, `${first} ms at the beginning, ${last} ms at the end`);
  }
  await store.close();
});
