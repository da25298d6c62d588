import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InstanceId } from '#shared/schema/ids.ts';
import { sqliteStore } from '../store/sqlite.ts';
import { liveness } from './liveness.ts';

const instance = (n: number) => InstanceId.parse(`i-${String(n).padStart(16, '0')}`);

test('thousands of nodes are written in three commits, and read back by any coordinator', async () => {
  const store = sqliteStore({ path: ':memory:' });
  try {
    const [one, two] = [liveness(store, 'one'), liveness(store, 'two')];
    const now = 1_800_000_000_000;
    for (let n = 0; n < 5_000; n += 1) one.seen(instance(n), now + n);
    await one.flush(now);
    assert.equal((await store.get('x')).revision, 3);
    assert.equal(await two.lastSeen(instance(7)), now + 7);
    two.seen(instance(7), now + 9_000);
    assert.equal(await two.lastSeen(instance(7)), now + 9_000);
    assert.equal(await one.lastSeen(instance(7)), now + 7);
    await two.flush(now);
    assert.equal(await one.lastSeen(instance(7)), now + 9_000);
    assert.equal(await one.lastSeen(instance(5_001)), null);
    two.seen(instance(8), now + 9_001);
    const all = await two.all();
    const some = [7, 8, 9, 5_001].map((n) => all.get(instance(n)));
    assert.deepEqual(some, [now + 9_000, now + 9_001, now + 9, undefined]);
    await one.flush(now);
    assert.equal((await store.get('x')).revision, 4, 'nothing new, nothing written');
  } finally {
    await store.close();
  }
});
