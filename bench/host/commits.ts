// Commits of the coordinator's store, each acknowledged when it is on the disk: one after the other,
// and many at once, which share a transaction.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { sqliteStore } from '../../coordinator/store/sqlite.ts';
import type { Store } from '../../coordinator/store/store.ts';
import type { Bench } from '../bench.ts';
import { timed } from '../sample.ts';

const SINGLE = 400;
const AT_ONCE = 100;
const BATCHES = 40;
const VALUE = JSON.stringify({ text: 'x'.repeat(500) });

export const commits: Bench = {
  name: 'host/commits',
  limitMs: 60_000,
  needsArtifacts: false,
  async run({ clock, signal, dir }) {
    const store = sqliteStore({ path: join(dir, 'store.sqlite') });
    try {
      const single = await timed(clock, async () => {
        for (let number = 0; number < SINGLE; number += 1) {
          signal.throwIfAborted();
          await put(store, `single/${number}`);
        }
      });
      const batched = await timed(clock, async () => {
        for (let batch = 0; batch < BATCHES; batch += 1) {
          signal.throwIfAborted();
          const keys = Array.from({ length: AT_ONCE }, (_, index) => `batch/${batch}/${index}`);
          await Promise.all(keys.map((key) => put(store, key)));
        }
      });
      const synced = await timed(clock, () => syncedWrites(join(dir, 'plain'), signal));
      const perSecond = (count: number, ms: number): number => (count * 1000) / ms;
      return [
        {
          name: 'commits, one after the other',
          value: perSecond(SINGLE, single),
          unit: '/s',
          target: null,
          yardstick: {
            name: '4 KiB written and fdatasync',
            value: perSecond(SINGLE, synced),
          },
        },
        {
          name: `commits, ${AT_ONCE} at once`,
          value: perSecond(BATCHES * AT_ONCE, batched),
          unit: '/s',
          target: null,
        },
      ];
    } finally {
      await store.close();
    }
  },
};

const put = (store: Store, key: string) =>
  store.commit([{ key, revision: 0 }], [{ kind: 'put', key, value: VALUE }]);

/** What the disk itself allows. */
async function syncedWrites(path: string, signal: AbortSignal): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let number = 0; number < SINGLE; number += 1) {
      signal.throwIfAborted();
      await file.write(Buffer.alloc(4096, number));
      await file.datasync();
    }
  } finally {
    await file.close();
  }
}
