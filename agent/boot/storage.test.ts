// What a boot stands on when it has to leave its disk. Needs root.

import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { BilletError } from '#shared/errors.ts';
import { workshop } from '../store/module-fixture.ts';
import { testMachine } from './machine-fixture.ts';
import { stageStorage } from './storage.ts';

const signal = new AbortController().signal;
const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';

test('where there is no memory for its data, a boot keeps them on the disk, and its key with them', {
  skip,
}, async (t) => {
  const { ports } = await testMachine(t, await workshop(t));
  const key = join(ports.paths.state, 'key.pem');
  await writeFile(key, 'secret');
  let opened = 0;
  const storage = await stageStorage(
    {
      ...ports,
      async openDataDisk(...request) {
        opened += 1;
        await writeFile(key, 'secret');
        return await ports.openDataDisk(...request);
      },
      closeDataDisk: () => rm(key),
      openMemory: () => Promise.reject(new BilletError('STORE_FAILED', 'full', { hint: 'more' })),
    },
    signal,
  );
  await assert.rejects(storage.moveToMemory(signal), { code: 'STORE_FAILED' });
  assert.deepEqual([storage.data.kind, opened], ['persist', 2]);
  assert.equal(await readFile(key, 'utf8'), 'secret');
  await storage.close();
});
