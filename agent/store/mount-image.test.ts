// Composed images as the kernel shows them, and stores that run out of space. Needs root.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { hexOf } from '#shared/digest.ts';
import { hostMounts } from '../drivers/mounts.ts';
import { workshop } from './module-fixture.ts';
import { mountedDigest } from './mount-image.ts';
import { openStore } from './open-store.ts';

const signal = new AbortController().signal;
const mounts = hostMounts();
const skip = process.getuid?.() === 0 ? false : 'mount(2) needs root';

/** A tmpfs that is gone after the test; other tests then find their mount table as before. */
async function tmpfs(context: TestContext, size: string): Promise<string> {
  const target = await mkdtemp(join(tmpdir(), 'billet-'));
  mounts.mount({ source: 'billet-test', target, type: 'tmpfs', options: `size=${size}` });
  context.after(async () => {
    mounts.unmount(target, { detach: true });
    await rmdir(target);
  });
  return target;
}

test('a mounted image shows the merged files, read-only, and names itself in the mount table', {
  skip,
}, async (t) => {
  const shop = await workshop(t);
  const store = await openStore({ dir: join(await temporaryDirectory(t), 'store') });
  t.after(() => store.close());
  const content = Buffer.alloc(100_000, 'content');
  const files = { 'usr/bin/tool': content, 'etc/name': 'small\n', 'sub/': '' };
  const ref = await shop.make({ name: 'base', files });
  const module = await store.ensureModule(ref, {
    source: shop.layout,
    policy: shop.policy,
    signal,
  });
  const { digest } = await store.composeSystem([module], null);
  const target = await temporaryDirectory(t);
  const mounted = await store.mountImage(digest, target);
  t.after(() => mounted.unmount());

  assert.deepEqual(await readFile(join(target, 'usr/bin/tool')), content);
  assert.equal(await readFile(join(target, 'etc/name'), 'utf8'), 'small\n');
  await assert.rejects(writeFile(join(target, 'etc/name'), ''), { code: 'EROFS' });
  const entry = (await mounts.table()).find((each) => each.target === target);
  assert.equal(mountedDigest(entry?.source ?? ''), digest);
  assert.equal(entry?.options.includes('verity=require'), store.verity);
  assert.equal(mounted.conditions.length, store.verity ? 0 : 1);
  // The image below has no name in the tree, and nothing stays behind.
  assert.deepEqual(await readdir(join(store.dir, 'tmp')), []);
  mounted.unmount();
  assert.deepEqual(await readdir(target), []);
});

test('an image that is not what its name says is not mounted', { skip }, async (t) => {
  const shop = await workshop(t);
  const store = await openStore({ dir: join(await temporaryDirectory(t), 'store') });
  t.after(() => store.close());
  const ref = await shop.make({ name: 'base', files: { 'etc/name': 'small\n' } });
  const target = await temporaryDirectory(t);
  await assert.rejects(store.mountImage(ref.image, target), { code: 'NOT_FOUND' });
  await writeFile(join(store.dir, 'images', hexOf(ref.image)), 'another image');
  await assert.rejects(store.mountImage(ref.image, target), { code: 'DIGEST_MISMATCH' });
  assert.deepEqual(await readdir(join(store.dir, 'tmp')), []);
});

test('a store that fills up says so, keeps no part of the module, and takes it with more room', {
  skip,
}, async (t) => {
  const shop = await workshop(t);
  const dir = await tmpfs(t, '8m');
  const store = await openStore({ dir });
  t.after(() => store.close());
  const files: Record<string, Buffer> = {};
  for (let index = 0; index < 200; index += 1)
    files[`usr/share/${index}`] = Buffer.alloc(100_000, `${index} `);
  const ref = await shop.make({ name: 'base', files });
  const request = { source: shop.layout, policy: shop.policy, signal };
  await assert.rejects(store.ensureModule(ref, request), { code: 'STORE_FULL' });
  for (const part of ['modules', 'images', 'tmp'])
    assert.deepEqual(await readdir(join(dir, part)), []);
  // What was written is garbage, and gone.
  assert.equal((await store.collect({ modules: [], images: [] })).objects, 0);
  mounts.mount({
    source: 'billet-test',
    target: dir,
    type: 'tmpfs',
    flags: ['remount'],
    options: 'size=64m',
  });
  assert.equal((await store.ensureModule(ref, request)).image, ref.image);
});

test('mounts carry the flags that were asked for', { skip }, async (t) => {
  const dir = await tmpfs(t, '1m');
  const [source, target] = [join(dir, 'source'), join(dir, 'target')];
  await mkdir(source);
  await mkdir(target);
  mounts.bind(source, target, ['nosuid', 'nodev']);
  const entry = (await mounts.table()).find((each) => each.target === target);
  assert.ok(entry?.options.includes('nosuid') && entry.options.includes('nodev'));
  mounts.unmount(target);
  mounts.unmount(target);
  assert.throws(() => mounts.bind(join(dir, 'none'), target), {
    code: 'MOUNT_FAILED',
    details: { errno: 'ENOENT', source: join(dir, 'none'), target, type: '', options: '' },
  });
});
