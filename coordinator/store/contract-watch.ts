// What every engine must keep, as tests: watching and compaction. Part of the suite in contract.ts.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drop, put, seen, type WithStore } from './contract-fixture.ts';
import type { Commit } from './store.ts';

export function watchContract(name: string, withStore: WithStore): void {
  test(`${name}: a watcher that starts late sees every commit once, whole and in order`, () =>
    withStore(async (store) => {
      await store.commit([], [put('a/1', 'x'), put('a/2', 'x'), put('b/2')]);
      await store.commit([], [put('b/1', 'x')]);
      setImmediate(() => store.commit([], [drop('a/1'), drop('a/none')]));
      assert.deepEqual(await seen(store, 'a/', 0, 2), [
        { revision: 1, writes: [put('a/1', 'x'), put('a/2', 'x')] },
        { revision: 3, writes: [drop('a/1')] },
      ]);
    }));

  test(`${name}: commits of one moment are still one each to a watcher`, () =>
    withStore(async (store) => {
      const wait = seen(store, 'k', 0, 40);
      await Promise.all(Array.from({ length: 40 }, (_, n) => store.commit([], [put('k', n)])));
      const commits = await wait;
      assert.deepEqual(
        commits.map((c) => c.revision),
        Array.from({ length: 40 }, (_, n) => n + 1),
      );
      assert.equal(new Set(commits.map((c) => JSON.stringify(c.writes))).size, 40);
    }));

  test(`${name}: the watcher of a quiet prefix gets marks that it can come back with`, () =>
    withStore(async (store) => {
      const stop = new AbortController();
      const quiet = store.watch('quiet/', 0, stop.signal)[Symbol.asyncIterator]();
      const first = quiet.next();
      let mark: Commit | undefined;
      const arrived = first.then((result) => {
        mark = result.value;
      });
      for (let n = 0; n < 10_000 && !mark; n += 1) await store.commit([], [put('busy', n)]);
      await arrived;
      stop.abort();
      assert.ok(mark && mark.revision > 0);
      assert.deepEqual(mark.writes, []);
      await store.commit([], [put('quiet/1')]);
      await store.compact(mark.revision);
      assert.equal((await seen(store, 'quiet/', mark.revision, 1)).length, 1);
    }));

  test(`${name}: an aborted watcher ends quietly, waiting or not`, () =>
    withStore(async (store) => {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 5);
      for await (const commit of store.watch('', 0, stop.signal)) assert.fail(`${commit.revision}`);
      for await (const commit of store.watch('', 0, AbortSignal.abort()))
        assert.fail(`${commit.revision}`);
    }));

  test(`${name}: a watcher is told when the store closes`, () =>
    withStore(async (store) => {
      const waiting = seen(store, '', 0, 1);
      setTimeout(() => store.close(), 5);
      await assert.rejects(waiting, { code: 'UNAVAILABLE' });
    }));

  test(`${name}: a watch from compacted or future history is COMPACTED`, () =>
    withStore(async (store) => {
      for (const value of [1, 2, 3, 4]) await store.commit([], [put('k', value)]);
      await store.compact(3);
      await assert.rejects(seen(store, '', 1, 1), { code: 'COMPACTED' });
      await assert.rejects(seen(store, '', 5, 1), { code: 'COMPACTED' });
      assert.deepEqual(
        (await seen(store, '', 2, 2)).map((c) => c.revision),
        [3, 4],
      );
    }));

  test(`${name}: a watcher overtaken by compaction is told, not skipped ahead`, () =>
    withStore(async (store) => {
      const stop = new AbortController();
      await store.commit([], [put('k', 0)]);
      const slow = store.watch('', 0, stop.signal)[Symbol.asyncIterator]();
      assert.equal((await slow.next()).value?.revision, 1);
      for (let n = 0; n < 10; n += 1) await store.commit([], [put('k', n)]);
      await store.compact(8);
      await assert.rejects(slow.next(), { code: 'COMPACTED' });
    }));

  test(`${name}: a deletion is seen after compaction up to its revision`, () =>
    withStore(async (store) => {
      await store.commit([], [put('k'), put('l')]);
      await store.commit([], [drop('k')]);
      await store.compact(2);
      assert.deepEqual(await seen(store, '', 1, 1), [{ revision: 2, writes: [drop('k')] }]);
      await store.commit([], [put('m')]);
      await store.compact(3);
      const { entries } = await store.list('', { revision: 3 });
      assert.deepEqual(
        entries.map((e) => e.key),
        ['l', 'm'],
      );
    }));
}
