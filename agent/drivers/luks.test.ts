import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { luks } from './luks.ts';

const signal = new AbortController().signal;

test('what is open already is taken for the partition that it lies on, and for no other', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'billet-luks-'));
  t.after(() => rm(root, { recursive: true }));
  const mapping = join(root, 'sys/class/block/dm-0');
  for (const dir of [join(mapping, 'dm'), join(mapping, 'slaves/vda3'), join(root, 'dev/mapper')])
    await mkdir(dir, { recursive: true });
  await writeFile(join(mapping, 'dm/name'), 'billet-persist\n');
  const device = join(root, 'dev/mapper/billet-persist');
  await writeFile(device, '');
  const exec = () => assert.fail('nothing is to be run');
  const driver = luks({ exec, root, runDir: root });
  assert.equal(await driver.unlock('/dev/vda3', signal), device);
  for (const other of [
    () => driver.unlock('/dev/vdb3', signal),
    () => driver.unlockWith('/dev/vdb3', 'key', signal),
  ])
    await assert.rejects(other, { code: 'COMMAND_FAILED', message: /over vda3, .*\/dev\/vdb3/ });
});
