// Drivers against the host that the tests run on: processes, files, ext4 made by real tools, and the
// texts that the kernel writes.

import assert from 'node:assert/strict';
import { mkdir, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { systemClock } from '#shared/clock.ts';
import { planNetwork } from '../boot/network/plan.ts';
import { networkWords } from '../boot/network/words.ts';
import { execOrThrow, hostExec } from './exec.ts';
import { checkExt4, findByLabel, makeVolatileExt4, parseSuperblock } from './ext4.ts';
import { readFileOrNull, writeFileAtomic } from './files.ts';
import { parseMountinfo } from './mounts.ts';
import { nameServers, networkUp } from './network.ts';

const signal = new AbortController().signal;

test('a process gives its code and output, takes input, and dies when it is given up', async () => {
  const exit = await hostExec(['sh', '-c', 'cat; echo no >&2; exit 3'], signal, 'in');
  assert.deepEqual(exit, { code: 3, stdout: 'in', stderr: 'no\n' });
  const killed = await hostExec(['sh', '-c', 'kill -TERM $$'], signal);
  assert.equal(killed.code, 143);
  await assert.rejects(hostExec(['/no/such/program'], signal), { code: 'UNSUPPORTED' });
  const failed = execOrThrow(hostExec, ['sh', '-c', 'echo why >&2; exit 1'], signal, 'read it');
  await assert.rejects(failed, { code: 'COMMAND_FAILED', message: /why/, hint: 'read it' });
  const begin = systemClock.monotonic();
  await assert.rejects(hostExec(['sleep', '30'], AbortSignal.timeout(50)), {
    name: 'TimeoutError',
  });
  assert.ok(systemClock.monotonic() - begin < 5000);
});

test('a file is replaced whole, with its mode, and a failure leaves nothing', async (t) => {
  const dir = await temporaryDirectory(t);
  const path = join(dir, 'secret');
  assert.equal(await readFileOrNull(path), null);
  await writeFileAtomic(path, 'one', { mode: 0o600 });
  await writeFileAtomic(path, 'two', { mode: 0o600 });
  assert.equal(await readFile(path, 'utf8'), 'two');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  await mkdir(join(dir, 'directory'));
  await assert.rejects(writeFileAtomic(join(dir, 'directory'), 'no'));
  assert.deepEqual((await readdir(dir)).sort(), ['directory', 'secret']);
});

test('an ext4 that mke2fs made is recognized, checked, and found by its label', async (t) => {
  const root = await temporaryDirectory(t);
  await mkdir(join(root, 'dev'));
  for (const name of ['loop0', 'vda', 'vdb', 'vdc'])
    await mkdir(join(root, 'sys/class/block', name), { recursive: true });
  const image = async (name: string) => {
    const handle = await open(join(root, 'dev', name), 'w');
    await handle.truncate(8 << 20);
    await handle.close();
    return join(root, 'dev', name);
  };
  const [blank, plain, persist] = [await image('vda'), await image('vdb'), await image('loop0')];
  await makeVolatileExt4(blank, hostExec, signal);
  const superblock = (await readFile(blank)).subarray(1024, 2048);
  assert.deepEqual(parseSuperblock(superblock, blank), { device: blank, label: '', verity: true });
  assert.equal(parseSuperblock(Buffer.alloc(1024), blank), null);

  const shape = ['-q', '-F', '-t', 'ext4', '-b', '1024', '-L', 'billet-persist'];
  for (const device of [plain, persist])
    await execOrThrow(hostExec, ['mke2fs', ...shape, device], signal, 'install e2fsprogs');
  // vdc is listed and has no node; a loop device is none of the machine's disks.
  const found = await findByLabel('billet-persist', root);
  assert.deepEqual(found, { device: plain, label: 'billet-persist', verity: false });
  assert.equal(await findByLabel('other', root), null);
  await checkExt4(plain, hostExec, signal);
  await writeFile(plain, 'no file system');
  await assert.rejects(checkExt4(plain, hostExec, signal), { code: 'STORE_FAILED' });
});

test('the mount table is read with its escapes and both kinds of options', () => {
  const text = `36 35 98:0 / /mnt\\040x ro,nodev master:1 - overlay composefs:ab ro,verity=require\n`;
  assert.deepEqual(parseMountinfo(text), [
    {
      target: '/mnt x',
      type: 'overlay',
      source: 'composefs:ab',
      options: ['ro', 'nodev', 'ro', 'verity=require'],
    },
  ]);
  assert.deepEqual(parseMountinfo(''), []);
});

const DEFAULT_PLAN = planNetwork(networkWords([]));

test('a machine without a network card says so', async (t) => {
  const root = await temporaryDirectory(t);
  await assert.rejects(
    networkUp(
      { exec: hostExec, clock: systemClock, root, warn: assert.ifError },
      DEFAULT_PLAN,
      signal,
    ),
    {
      code: 'LINK_DOWN',
      message: /no network interface/,
    },
  );
  assert.deepEqual(nameServers('search a\nnameserver 192.0.2.1\nnameserver ::1\n'), [
    '192.0.2.1',
    '::1',
  ]);
});
