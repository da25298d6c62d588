// A disk that fills up in the middle of a pull: refused with a code, nothing half done, the modules
// that are there untouched, room left for others, and the same pull works once there is space. Needs
// root. The same over many points, on ext4, is in pull-faults.peer.ts.

import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostMounts } from '../../agent/drivers/mounts.ts';
import { eventually } from '../agent/agent-fixture.ts';
import { needsRoot as skip, smallTmpfs } from './pull-faults-disk.ts';
import { craft, openShop, ordinary, pullNode, refused } from './pull-faults-module.ts';
import { cutAfter, faultyRegistry, hastySource, honest } from './pull-faults-registry.ts';

const MiB = 1024 * 1024;

test('a store that fills up at any point keeps what it has, and takes the module later', {
  skip,
}, async (t) => {
  const shop = await openShop(t);
  const disk = await smallTmpfs(t, 12 * MiB);
  const node = await pullNode(t, shop, disk.dir);
  const source = hastySource((await faultyRegistry(t, shop.layout)).origin);
  const running = await craft(shop, { name: 'running', layers: [ordinary('running')] });
  const { ref } = await craft(shop, { layers: [ordinary('app', 2 * MiB)] });
  await node.pull(running.ref, source);
  await node.store.composeSystem([await node.pull(running.ref, source)], null);
  const before = await node.leftovers();
  for (const leftKiB of [640, 700, 1000, 1700, 2400]) {
    await disk.fill(leftKiB * 1024);
    const free = disk.freeBytes();
    let least = free;
    const onProgress = () => {
      least = Math.min(least, disk.freeBytes());
    };
    const error = await refused(node.pull(ref, source, { onProgress }), 'STORE_FULL');
    assert.match(error.hint, /larger, or run fewer modules/);
    assert.ok(least > 400 * 1024, `${least} bytes were left to others`);
    assert.equal(disk.freeBytes(), free, 'everything that it took was given back');
    assert.deepEqual(await node.leftovers(), before);
    assert.equal((await node.store.loadModule(running.ref, shop))?.image, running.ref.image);
    await disk.drain();
  }
  assert.equal((await node.pull(ref, source)).image, ref.image);
});

test('a store without a free inode is full as well', { skip }, async (t) => {
  const shop = await openShop(t);
  const { dir } = await smallTmpfs(t, 12 * MiB);
  const node = await pullNode(t, shop, dir);
  const source = hastySource((await faultyRegistry(t, shop.layout)).origin);
  const { ref } = await craft(shop, { layers: [ordinary()] });
  const remount = (inodes: number) =>
    hostMounts().mount({
      ...{ source: 'billet-test', target: dir, type: 'tmpfs' },
      ...{ flags: ['remount'], options: `nr_inodes=${inodes}` },
    });
  await mkdir(join(dir, 'others'));
  remount(10_000);
  let made = 0;
  for (; made < 20_000; made += 1)
    try {
      await writeFile(join(dir, 'others', String(made)), '');
    } catch {
      break;
    }
  await refused(node.pull(ref, source), 'STORE_FULL');
  assert.deepEqual(await node.leftovers(), []);
  remount(20_000);
  assert.equal((await node.pull(ref, source)).image, ref.image);
});

test('what a pull left that was cut off makes room for the next one', { skip }, async (t) => {
  const shop = await openShop(t);
  const disk = await smallTmpfs(t, 10 * MiB);
  const node = await pullNode(t, shop, disk.dir);
  const registry = await faultyRegistry(t, shop.layout);
  const source = hastySource(registry.origin, {
    backoff: { attempts: 1, baseMs: 1, capMs: 1 },
  });
  const files = (name: string) =>
    Array.from({ length: 6 }, (_, index) => ordinary(`${name} ${index}`, MiB).files[3]).flatMap(
      (part, index) => (part === undefined ? [] : [{ ...part, name: `usr/${index}` }]),
    );
  const lost = await craft(shop, { name: 'lost', layers: [{ files: files('lost') }] });
  const next = await craft(shop, { name: 'next', layers: [{ files: files('next') }] });
  registry.fault = (asked, response) => {
    if (asked.reference !== lost.layers[0]?.digest) return false;
    cutAfter(5 * MiB, asked, response);
    return true;
  };
  const free = disk.freeBytes();
  await refused(node.pull(lost.ref, source), 'REGISTRY_FAILED');
  assert.deepEqual(await node.leftovers(), []);
  assert.ok(free - disk.freeBytes() > 3 * MiB, 'objects that nothing refers to');
  registry.fault = honest;
  assert.equal((await node.pull(next.ref, source)).image, next.ref.image);
  const gone = await node.store.collect({ modules: [next.ref.manifest], images: [] });
  assert.deepEqual([gone.objects, gone.modules], [0, 0]);
});

test('what a dead agent left half done is gone when the store is opened again', {
  skip,
}, async (t) => {
  const shop = await openShop(t);
  const disk = await smallTmpfs(t, 12 * MiB);
  const first = await pullNode(t, shop, disk.dir);
  const registry = await faultyRegistry(t, shop.layout);
  const { ref, layers } = await craft(shop, { layers: [ordinary('app', 2 * MiB)] });
  registry.fault = (asked, response) => {
    if (asked.reference !== layers[0]?.digest) return false;
    response.writeHead(200, { 'content-length': asked.bytes.length });
    response.write(asked.bytes.subarray(0, MiB));
    return true;
  };
  const stalled = hastySource(registry.origin, { stall: { minBytesPerSecond: 0, windowMs: 1000 } });
  const killed = new AbortController();
  const pull = first.pull(ref, stalled, { signal: killed.signal }).catch(() => null);
  // As it lies on the disk now, another process finds it: the first one never cleans up.
  const half = async () => (await readdir(join(first.dir, 'tmp'), { recursive: true })).length > 1;
  await eventually(half, (isThere) => isThere);
  const second = await pullNode(t, shop, disk.dir);
  assert.deepEqual(await second.leftovers(), []);
  registry.fault = honest;
  assert.equal((await second.pull(ref, hastySource(registry.origin))).image, ref.image);
  killed.abort();
  await pull;
});
