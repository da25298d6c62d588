// Modules into the store and out of it again, on whatever file system the tests run on.

import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { lookup, objectsOf } from '#shared/artifact/composefs/tree.ts';
import type { ArtifactSource } from '#shared/artifact/oci/source.ts';
import { temporaryDirectory } from '#shared/artifact/signature/testing.ts';
import { hexOf } from '#shared/digest.ts';
import { objectName } from '../../agent/store/layout.ts';
import { workshop } from '../../agent/store/module-fixture.ts';
import { openStore } from '../../agent/store/open-store.ts';
import type { Store } from '../../agent/store/store.ts';

const signal = new AbortController().signal;
const large = Buffer.alloc(3_000_000, 'a large file that spans several slabs. ');
const base = {
  name: 'base',
  files: {
    'etc/hostname': 'small enough for the image\n',
    'usr/bin/tool': Buffer.alloc(70_000, 'tool'),
    'usr/share/large': large,
    'usr/share/same': large,
    'usr/lib/modules/6.12.1-test/modules.dep': '',
    'var/': '',
  },
};
const addon = { name: 'addon', files: { 'usr/bin/other': Buffer.alloc(5000, 'other') } };

async function storeIn(context: TestContext, dir: string): Promise<Store> {
  const store = await openStore({ dir });
  context.after(() => store.close());
  return store;
}

async function setUp(context: TestContext) {
  const shop = await workshop(context);
  const dir = join(await temporaryDirectory(context), 'store');
  const request = { source: shop.layout, policy: shop.policy, signal };
  return { shop, dir, request, store: await storeIn(context, dir) };
}

/** Serves everything, but layers changed by `change`. */
function tampered(source: ArtifactSource, change: (chunk: Buffer) => Buffer): ArtifactSource {
  return {
    ...source,
    manifest: (reference) => source.manifest(reference),
    async *blob(descriptor, options) {
      const isLayer = descriptor.mediaType.includes('layer');
      for await (const chunk of source.blob(descriptor, options))
        yield isLayer ? change(Buffer.from(chunk)) : chunk;
    },
  };
}

const leftovers = async (dir: string) => [
  ...(await readdir(join(dir, 'modules'))),
  ...(await readdir(join(dir, 'images'))),
  ...(await readdir(join(dir, 'tmp'))),
];

test('a module is pulled once; the next process verifies it from the disk alone', async (t) => {
  const { shop, dir, request, store } = await setUp(t);
  const ref = await shop.make(base);
  const progress: number[] = [];
  const onProgress = (done: number, total: number) => progress.push(done / total);
  const pulled = await store.ensureModule(ref, { ...request, onProgress });
  assert.equal(pulled.image, ref.image);
  assert.ok(pulled.pulledBytes > 0);
  assert.equal(progress.at(-1), 1);
  // Equal files are one object.
  assert.equal(objectsOf(pulled.tree).size, 2);
  for (const [hex, size] of objectsOf(pulled.tree))
    assert.equal((await readFile(join(dir, 'objects', objectName(hex)))).length, size);
  await store.close();

  const later = await storeIn(t, dir);
  const loaded = await later.loadModule(ref, request);
  assert.equal(loaded?.image, ref.image);
  assert.equal(loaded?.pulledBytes, 0);
  assert.deepEqual(lookup(loaded.tree, '/usr/bin/tool'), lookup(pulled.tree, '/usr/bin/tool'));
});

test('a stored module is verified anew: another policy or a higher floor refuses it', async (t) => {
  const { shop, request, store } = await setUp(t);
  const ref = await shop.make(base);
  await store.ensureModule(ref, request);
  assert.equal(await store.loadModule(ref, { policy: shop.foreignPolicy }), null);
  const refused = store.ensureModule(ref, { ...request, policy: shop.foreignPolicy });
  await assert.rejects(refused, { code: 'SIGNATURE_INVALID' });
  const older = store.loadModule(ref, { policy: shop.policy, floor: 2 });
  await assert.rejects(older, { code: 'VERSION_REFUSED' });
  const exempt = new Set([ref.manifest]);
  assert.ok(await store.loadModule(ref, { policy: shop.policy, floor: 2, exempt }));
});

test('a module without a signature that counts is refused before a layer is asked for', async (t) => {
  const { shop, dir, request, store } = await setUp(t);
  const ref = await shop.make(base);
  const source = tampered(shop.layout, () => {
    throw new Error('nobody may read a layer');
  });
  const refused = store.ensureModule(ref, { ...request, source, policy: shop.foreignPolicy });
  await assert.rejects(refused, { code: 'SIGNATURE_INVALID' });
  assert.deepEqual(await leftovers(dir), []);
});

test('a flipped byte in a layer leaves nothing that could be used', async (t) => {
  const { shop, dir, request, store } = await setUp(t);
  const ref = await shop.make(base);
  const source = tampered(shop.layout, (chunk) => {
    chunk[chunk.length >> 1] = (chunk[chunk.length >> 1] ?? 0) ^ 1;
    return chunk;
  });
  await assert.rejects(store.ensureModule(ref, { ...request, source }), (error: unknown) => {
    const { code } = error as { code: string };
    return ['DIGEST_MISMATCH', 'OCI_INVALID', 'TAR_INVALID'].includes(code);
  });
  assert.deepEqual(await leftovers(dir), []);
  // The same store takes the right content afterwards.
  assert.equal((await store.ensureModule(ref, request)).image, ref.image);
});

test('desired state that names another image than the signed label is refused', async (t) => {
  const { shop, dir, request, store } = await setUp(t);
  const [ref, other] = [await shop.make(base), await shop.make(addon)];
  const lie = store.ensureModule({ ...ref, image: other.image }, request);
  await assert.rejects(lie, { code: 'DIGEST_MISMATCH' });
  const swapped = store.ensureModule({ ...ref, name: other.name }, request);
  await assert.rejects(swapped, { code: 'MODULE_INVALID' });
  assert.deepEqual(await leftovers(dir), []);
});

test('a damaged or missing object, or image, is fetched again', async (t) => {
  const { shop, dir, request, store } = await setUp(t);
  const ref = await shop.make(base);
  const { tree } = await store.ensureModule(ref, request);
  const [hex = ''] = objectsOf(tree).keys();
  const victims = [join(dir, 'objects', objectName(hex)), join(dir, 'images', hexOf(ref.image))];
  for (const victim of victims) {
    const right = await readFile(victim);
    // Not in place: a sealed file cannot be written to.
    await rm(victim);
    await writeFile(victim, 'not what it was');
    assert.equal(await store.loadModule(ref, request), null);
    assert.equal(await store.holdsModule(ref, request, { running: false }), null);
    // The kernel has the module of a running system mounted, and checks what is read.
    assert.ok(await store.holdsModule(ref, request, { running: true }));
    await store.ensureModule(ref, request);
    assert.deepEqual(await readFile(victim), right);
    const held = await store.holdsModule(ref, request, { running: false });
    assert.equal(held?.image, ref.image);
  }
});

test('system modules merge into one image, if they fit the kernel', async (t) => {
  const { shop, request, store } = await setUp(t);
  const refs = [await shop.make(base), await shop.make(addon)];
  const modules = await Promise.all(refs.map((ref) => store.ensureModule(ref, request)));
  const system = await store.composeSystem(modules, '6.12.1-test');
  assert.deepEqual(await store.composeSystem([...modules].reverse(), null), system);
  assert.ok(lookup(system.tree, '/usr/bin/other') && lookup(system.tree, '/usr/bin/tool'));
  const unfit = store.composeSystem(modules, '6.12.2-test');
  await assert.rejects(unfit, { code: 'KERNEL_MISMATCH', message: /6\.12\.1-test/ });
});

test('garbage collection keeps what roots lead to, and only that', async (t) => {
  const { shop, dir, request, store } = await setUp(t);
  const [ref, other] = [await shop.make(base), await shop.make(addon)];
  const modules = [
    await store.ensureModule(ref, request),
    await store.ensureModule(other, request),
  ];
  const system = await store.composeSystem(modules, null);
  const nothing = await store.collect({ modules: [ref.manifest], images: [system.digest] });
  assert.deepEqual([nothing.modules, nothing.images, nothing.objects], [1, 1, 0]);
  const rest = await store.collect({ modules: [ref.manifest], images: [] });
  assert.deepEqual([rest.images, rest.objects, rest.bytes], [1, 1, 5000]);
  assert.deepEqual(await store.modules(), [ref.manifest]);
  assert.ok(await store.loadModule(ref, request));
  await store.collect({ modules: [], images: [] });
  assert.deepEqual(await leftovers(dir), []);
});
