// The steps that write to the bare disk, on a file in its place: which disk it is, and what is noted first.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { InstallRecord } from '../record.ts';
import type { SeenDisk } from '../seen.ts';
import type { StepContext } from '../step.ts';
import { record, seenDisk } from '../testing.ts';
import { signatureId } from '../wipe-id.ts';
import { partition } from './partition.ts';
import { wipe } from './wipe.ts';

const signal = new AbortController().signal;
const SIZE = 4 * 2 ** 20;
const EXT4 = [{ startBytes: 0, offset: '0x438', type: 'ext4', label: 'precious', uuid: 'u' }];

async function setUp(t: TestContext, begin: InstallRecord, more: Partial<SeenDisk> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'billet-steps-'));
  t.after(() => rm(dir, { recursive: true }));
  const device = join(dir, 'disk');
  await writeFile(device, Buffer.alloc(SIZE, 1));
  const { disk, ...seen } = seenDisk('vda', { device, ...more });
  const on = { ...seen, disk: { ...disk, sizeBytes: SIZE } };
  const calls: string[] = [];
  const context = (now: SeenDisk): StepContext =>
    ({
      ports: {
        observeDisks: async () => [now],
        exec: async ([program]: readonly string[]) => {
          calls.push(program ?? '');
          return { code: 0, stdout: '', stderr: '' };
        },
        vault: { lock: async () => void calls.push('lock') },
      },
      on,
      profile: { dir: '/profile' },
      journal: {
        record: begin,
        note: async (note: object) => void calls.push(JSON.stringify(note)),
      },
      onProgress: () => undefined,
    }) as unknown as StepContext;
  return { on, calls, context, content: () => readFile(device) };
}

test('a disk that took the name of the one that was chosen is not touched', async (t) => {
  const { on, calls, context, content } = await setUp(t, record([]));
  const other = { ...on, disk: { ...on.disk, serial: 'another' } };
  await assert.rejects(wipe(context(other), signal), { code: 'INSTALL_DISK_GONE' });
  assert.deepEqual(calls, []);
  assert.ok((await content()).equals(Buffer.alloc(SIZE, 1)));
});

test('the claim comes first, then what has names, then both ends; open LUKS of our own is closed', async (t) => {
  const { on, calls, context, content } = await setUp(t, record([]), {
    holders: ['dm-0'],
    signatures: EXT4,
  });
  await wipe(context(on), signal);
  const claim = JSON.stringify({ done: [], givenUp: EXT4.map(signatureId) });
  assert.deepEqual(calls, ['lock', claim, 'wipefs']);
  const bytes = await content();
  assert.ok(bytes.subarray(0, 2 ** 20 - 8192).every((byte) => byte === 0));
  assert.ok(bytes.subarray(2 ** 20 - 8192, SIZE - 2 ** 20).every((byte) => byte === 1));
  assert.ok(bytes.subarray(SIZE - 2 ** 20).every((byte) => byte === 0));
});

test('a table that is made again forgets the recovery key of the partition that went with the old one', async (t) => {
  const sealed = record(['wipe'], { recoveryKey: 'c2VhbGVk' });
  const { on, calls, context } = await setUp(t, sealed);
  await assert.rejects(partition(context(on), signal), { code: 'INSTALL_STEP_FAILED' });
  assert.deepEqual(calls, ['{"recoveryKey":null}', 'env']);
});
