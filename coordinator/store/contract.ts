// What every engine must keep, as tests: reads, commits and limits. Knows no engine; each engine's
// own test file calls it with a factory of empty stores.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drop, put, type WithStore } from './contract-fixture.ts';
import { modelContract } from './contract-model.ts';
import { watchContract } from './contract-watch.ts';
import { MAX_KEY_BYTES, MAX_KEYS, MAX_PAGE, MAX_VALUE_BYTES } from './limits.ts';

/** Declares the whole suite for the engine `name`. */
export function storeContract(name: string, withStore: WithStore): void {
  readContract(name, withStore);
  commitContract(name, withStore);
  watchContract(name, withStore);
  modelContract(name, withStore);
}

function readContract(name: string, withStore: WithStore): void {
  test(`${name}: an empty store is at revision 0 and has a history id`, () =>
    withStore(async (store) => {
      assert.deepEqual(await store.get('a'), { entry: null, revision: 0 });
      assert.deepEqual(await store.list(''), { entries: [], revision: 0, next: null });
      assert.match(store.historyId, /^[0-9a-f]{16,}$/);
    }));

  test(`${name}: two stores have two history ids`, () =>
    withStore((one) => withStore(async (two) => assert.notEqual(one.historyId, two.historyId))));

  test(`${name}: a list is in the order of bytes, and of its prefix only`, () =>
    withStore(async (store) => {
      const keys = ['a/~', 'a/A', 'a/a', 'a/10', 'a/9', 'a', 'b/1', 'a!', 'a0'];
      await store.commit(
        [],
        keys.map((key) => put(key)),
      );
      const { entries } = await store.list('a/');
      assert.deepEqual(
        entries.map((e) => e.key),
        ['a/10', 'a/9', 'a/A', 'a/a', 'a/~'],
      );
      assert.equal((await store.list('')).entries.length, keys.length);
    }));

  test(`${name}: later pages show the revision of the first, whatever was written since`, () =>
    withStore(async (store) => {
      await store.commit(
        [],
        ['k/1', 'k/2', 'k/3', 'k/4'].map((key) => put(key, 'old')),
      );
      const first = await store.list('k/', { limit: 2 });
      assert.deepEqual([first.next, first.revision], ['k/2', 1]);
      await store.commit([], [put('k/3', 'new'), drop('k/4'), put('k/5')]);
      const rest = { after: 'k/2', revision: first.revision };
      const second = await store.list('k/', rest);
      assert.deepEqual(
        second.entries.map((e) => [e.key, e.value, e.revision]),
        [
          ['k/3', '"old"', 1],
          ['k/4', '"old"', 1],
        ],
      );
      assert.equal(second.next, null);
      assert.equal((await store.list('k/')).entries.length, 4);
    }));

  test(`${name}: a page at a compacted or future revision is COMPACTED`, () =>
    withStore(async (store) => {
      for (const value of [1, 2, 3]) await store.commit([], [put('k', value)]);
      await store.compact(3);
      await assert.rejects(store.list('', { revision: 2 }), { code: 'COMPACTED' });
      await assert.rejects(store.list('', { revision: 4 }), { code: 'COMPACTED' });
      assert.equal((await store.list('', { revision: 3 })).entries.length, 1);
      await store.compact(1);
      await store.compact(99);
      assert.equal((await store.get('k')).entry?.value, '3');
    }));

  test(`${name}: after it is closed, every call is UNAVAILABLE`, () =>
    withStore(async (store) => {
      await store.check();
      assert.equal((await store.get('k')).revision, 0, 'a check is no commit');
      await store.close();
      await store.close();
      for (const call of [
        store.get('k'),
        store.list(''),
        store.commit([], [put('k')]),
        store.check(),
      ])
        await assert.rejects(call, { code: 'UNAVAILABLE' });
    }));
}

function commitContract(name: string, withStore: WithStore): void {
  test(`${name}: a commit whose condition no longer holds changes nothing`, () =>
    withStore(async (store) => {
      const first = await store.commit([{ key: 'k', revision: 0 }], [put('k', 1)]);
      assert.deepEqual(first, { revision: 1 });
      assert.ok(await store.commit([{ key: 'k', revision: 1 }], [put('k', 2)]));
      const late = await store.commit([{ key: 'k', revision: 1 }], [put('other'), put('k', 3)]);
      assert.equal(late, null);
      assert.deepEqual(await store.get('other'), { entry: null, revision: 2 });
      assert.deepEqual((await store.get('k')).entry, { key: 'k', value: '2', revision: 2 });
    }));

  test(`${name}: of many writers at once with one condition, one wins`, () =>
    withStore(async (store) => {
      const tries = Array.from({ length: 50 }, (_, n) =>
        store.commit([{ key: 'k', revision: 0 }], [put('k', n), put(`by/${n}`)]),
      );
      const won = (await Promise.all(tries)).filter((done) => done !== null);
      assert.equal(won.length, 1);
      assert.equal((await store.list('by/')).entries.length, 1);
    }));

  test(`${name}: a deleted key can be made again, and 0 means that it is gone`, () =>
    withStore(async (store) => {
      await store.commit([], [put('k')]);
      await store.commit([{ key: 'k', revision: 1 }], [drop('k')]);
      assert.equal(await store.commit([{ key: 'k', revision: 1 }], [put('k')]), null);
      assert.deepEqual(await store.commit([{ key: 'k', revision: 0 }], [put('k')]), {
        revision: 3,
      });
    }));

  test(`${name}: deleting what does not exist leaves the revision where it is`, () =>
    withStore(async (store) => {
      assert.deepEqual(await store.commit([], [drop('k')]), { revision: 0 });
      assert.deepEqual(await store.commit([], [drop('k'), put('l')]), { revision: 1 });
    }));

  test(`${name}: the largest commit that the contract allows goes in`, () =>
    withStore(async (store) => {
      const big = 'é'.repeat((MAX_VALUE_BYTES - 2) / 2);
      const longest = '~'.repeat(MAX_KEY_BYTES);
      const many = Array.from({ length: MAX_KEYS - 1 }, (_, n) => put(`k/${n}`, 'x'.repeat(4096)));
      await store.commit([], [put(longest, big), ...many]);
      assert.equal((await store.get(longest)).entry?.value.length, big.length + 2);
      assert.equal((await store.list('k/', { limit: MAX_PAGE })).entries.length, MAX_KEYS - 1);
    }));

  test(`${name}: a commit beyond the limits is STORE_LIMIT and changes nothing`, () =>
    withStore(async (store) => {
      const bad = [
        [],
        Array.from({ length: MAX_KEYS + 1 }, (_, n) => put(`k/${n}`)),
        [put('k'), drop('k')],
        [put('')],
        [put('a b')],
        [put('é')],
        [put('a\nb')],
        [put('k'.repeat(MAX_KEY_BYTES + 1))],
        [put('k', 'é'.repeat(MAX_VALUE_BYTES / 2))],
        [{ kind: 'put', key: 'k', value: 'not json' } as const],
        [{ kind: 'put', key: 'k', value: '"\ud800"' } as const],
      ];
      for (const writes of bad)
        await assert.rejects(store.commit([], [...writes]), { code: 'STORE_LIMIT' });
      for (const revision of [-1, 0.5, Number.NaN])
        await assert.rejects(store.commit([{ key: 'k', revision }], [put('k')]), {
          code: 'STORE_LIMIT',
        });
      for (const limit of [0, MAX_PAGE + 1])
        await assert.rejects(store.list('', { limit }), { code: 'STORE_LIMIT' });
      assert.equal((await store.list('')).revision, 0);
    }));
}
