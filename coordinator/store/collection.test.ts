// Collections, their migrations, several of them in one commit, and mirrors, on a store in memory.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { ABSENT, collection, commitAll } from './collection.ts';
import { mirror } from './mirror.ts';
import { sqliteStore } from './sqlite.ts';
import { IN_MEMORY } from './sqlite-file.ts';
import type { Store } from './store.ts';
import { transact } from './transact.ts';

const Pet = z.strictObject({ name: z.string(), legs: z.int() });
type Pet = z.infer<typeof Pet>;
const id = z.string().regex(/^[a-z0-9-]+$/);
const petsOf = (store: Store) =>
  collection<Pet>(store, { prefix: 'pets', schema: Pet, id, version: 1 });

async function withStore(work: (store: Store) => Promise<void>): Promise<void> {
  const store = sqliteStore({ path: IN_MEMORY });
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

const cat = { name: 'cat', legs: 4 };

test('a record is made once, changed, listed and removed', () =>
  withStore(async (store) => {
    const pets = petsOf(store);
    assert.equal(await pets.get('c'), null);
    await pets.create('c', cat);
    await assert.rejects(pets.create('c', cat), { code: 'CONFLICT' });
    const changed = await pets.update('c', (pet) => pet && { ...pet, legs: 3 });
    assert.deepEqual(changed, await pets.get('c'));
    assert.equal(changed?.record.legs, 3);
    assert.equal(await pets.update('none', (pet) => pet), null);
    await pets.create('d', cat);
    const page = await pets.list({ limit: 1 });
    assert.deepEqual([page.items[0]?.id, page.next], ['c', 'c']);
    assert.equal((await pets.list({ after: 'c', revision: page.revision })).items[0]?.id, 'd');
    assert.equal(await pets.remove('c'), true);
    assert.equal(await pets.remove('c'), false);
    assert.deepEqual(
      (await Array.fromAsync(pets.all())).map((found) => found.id),
      ['d'],
    );
  }));

test('of two writers at once, both changes survive', () =>
  withStore(async (store) => {
    const pets = petsOf(store);
    await pets.create('c', cat);
    const grow = () => pets.update('c', (pet) => pet && { ...pet, legs: pet.legs + 1 });
    await Promise.all(Array.from({ length: 8 }, grow));
    assert.equal((await pets.get('c'))?.record.legs, 12);
  }));

test('a record that keeps changing under its writer is CONTENDED', () =>
  withStore(async (store) => {
    const pets = petsOf(store);
    const spoiled = transact(store, 'pets/c', async () => {
      const at = (await pets.get('c'))?.revision ?? ABSENT;
      await pets.update('c', (pet) => ({ ...cat, legs: (pet?.legs ?? 0) + 1 }));
      return { changes: [pets.put('c', cat, at)], result: () => true };
    });
    await assert.rejects(spoiled, { code: 'CONTENDED' });
  }));

test('changes of several collections are made together or not at all', () =>
  withStore(async (store) => {
    const pets = petsOf(store);
    const log = collection(store, { prefix: 'log', schema: z.string(), id, version: 1 });
    const change = [pets.put('c', cat, ABSENT), log.put('1', 'cat came', ABSENT)];
    assert.deepEqual(await commitAll(store, change), { revision: 1 });
    assert.equal(
      await commitAll(store, [log.put('2', 'again', ABSENT), ...change.slice(0, 1)]),
      null,
    );
    assert.equal(await log.get('2'), null);
  }));

test('a key that its id schema does not allow is never made', () =>
  withStore(async (store) => {
    await assert.rejects(petsOf(store).get('../c'));
    assert.throws(() => petsOf(store).put('a/b', cat, ABSENT));
    assert.throws(() => petsOf(store).put('a', { name: 'x' } as Pet, ABSENT));
  }));

test('a record of an older version is migrated as it is read, step by step', () =>
  withStore(async (store) => {
    const first = collection(store, { prefix: 'pets', schema: z.string(), id, version: 1 });
    await first.create('c', 'cat');
    const third = collection<Pet>(store, {
      prefix: 'pets',
      schema: Pet,
      id,
      version: 3,
      migrations: {
        1: (name) => ({ name }),
        2: (old) => ({ ...z.object({ name: z.string() }).parse(old), legs: 4 }),
      },
    });
    assert.deepEqual((await third.get('c'))?.record, cat);
    await third.update('c', (pet) => pet);
    assert.equal(
      (await store.get('pets/c')).entry?.value,
      '{"v":3,"record":{"name":"cat","legs":4}}',
    );
    await assert.rejects(first.get('c'), { code: 'STORE_NEWER' });
    assert.throws(() => collection<Pet>(store, { prefix: 'p', schema: Pet, id, version: 2 }), {
      code: 'INTERNAL',
    });
  }));

test('a record that no version wrote is STORE_CORRUPT, and the key is named', () =>
  withStore(async (store) => {
    for (const value of ['{}', '7', '{"v":0,"record":{}}', '{"v":1,"record":{"name":"cat"}}']) {
      await store.commit([], [{ kind: 'put', key: 'pets/c', value }]);
      await assert.rejects(petsOf(store).get('c'), {
        code: 'STORE_CORRUPT',
        message: /pets\/c/,
        details: { key: 'pets/c' },
      });
    }
  }));

test('a mirror follows its collection, also across a compaction', () =>
  withStore(async (store) => {
    const pets = petsOf(store);
    await pets.create('c', cat);
    await pets.create('gone', cat);
    const stop = new AbortController();
    const changes: string[] = [];
    const held = await mirror(pets, {
      signal: stop.signal,
      onChange: (name, pet) => changes.push(`${name}:${pet?.legs ?? 'none'}`),
    });
    assert.equal(held.get('c')?.legs, 4);
    const done = await pets.update('c', (pet) => pet && { ...pet, legs: 2 });
    await pets.remove('gone');
    const { revision } = await pets.create('d', cat);
    await store.compact(revision);
    await held.reached(revision);
    assert.ok(done);
    assert.deepEqual([held.get('c')?.legs, held.get('gone'), held.get('d')], [2, undefined, cat]);
    assert.ok(changes.includes('gone:none') && changes.includes('c:2'));
    stop.abort();
    await held.done;
  }));
