// Loops over pulling: a connection that is reset at every so many bytes of a layer, a bit that is
// flipped anywhere in what a registry sends, a disk that is full at every point. Needs root. What each
// stands for is in the other files here; a peer here is the registry.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectsOf } from '#shared/artifact/composefs/tree.ts';
import { CODES } from '#shared/error-codes.ts';
import { BilletError } from '#shared/errors.ts';
import { needsRoot as skip, smallExt4 } from './pull-faults-disk.ts';
import { craft, noise, openShop, ordinary, pullNode, refused } from './pull-faults-module.ts';
import { cutAfter, faultyRegistry, hastySource, honest } from './pull-faults-registry.ts';

const MiB = 1024 * 1024;
const EMPTY_ROOTS = { modules: [], images: [] };

test('a reset at any byte of a layer costs the bytes that were on their way, and nothing else', async (t) => {
  const shop = await openShop(t);
  const node = await pullNode(t, shop);
  const small = { files: ordinary('small', 3000).files, packing: 'gzip' } as const;
  const { ref, layers } = await craft(shop, { layers: [small] });
  const [layer] = layers;
  assert.ok(layer);
  const registry = await faultyRegistry(t, shop.layout);
  const source = hastySource(registry.origin);
  // Every byte of the first and last 40, and each 97th between: header, blocks and trailer of gzip.
  const offsets = Array.from({ length: layer.size + 1 }, (_, index) => index).filter(
    (at) => at < 40 || at > layer.size - 40 || at % 97 === 0,
  );
  for (const at of offsets) {
    registry.asked.length = 0;
    registry.fault = (asked, response) => {
      if (asked.reference !== layer.digest || asked.from !== null) return false;
      if (registry.startsOf(layer.digest).length > 1) return false;
      cutAfter(at, asked, response);
      return true;
    };
    assert.equal((await node.pull(ref, source)).image, ref.image);
    const expected: number[] = at === layer.size ? [0] : [0, at];
    assert.deepEqual(registry.startsOf(layer.digest), expected, `cut after ${at} bytes`);
    await node.store.collect(EMPTY_ROOTS);
  }
  assert.ok(offsets.length > 150);
});

test('a bit that is flipped anywhere in layer, config, manifest or signature is refused', async (t) => {
  const shop = await openShop(t);
  const node = await pullNode(t, shop);
  for (const packing of ['zstd', 'gzip', 'none'] as const) {
    const small = { files: ordinary(packing, 3000).files, packing };
    const { ref, layers, config } = await craft(shop, { name: packing, layers: [small] });
    const registry = await faultyRegistry(t, shop.layout);
    const source = hastySource(registry.origin);
    const tag = `${ref.manifest.replace(':', '-')}.sig`;
    const signature = await shop.layout.manifest(tag);
    const payload = JSON.parse(Buffer.from(signature.bytes).toString()).layers[0].digest as string;
    const parts = [layers[0]?.digest, config.digest, ref.manifest, payload, signature.digest];
    for (const [part, reference] of parts.entries()) {
      let tried = 0;
      for (let at = 7 * part; ; at += 53) {
        let size = 0;
        registry.fault = (asked, response) => {
          if (asked.reference !== reference) return false;
          const bytes = Buffer.from(asked.bytes);
          size = bytes.length;
          const byte = at % size;
          bytes[byte] = (bytes[byte] ?? 0) ^ (1 << (at % 8));
          response.writeHead(200, { 'content-type': asked.mediaType, 'content-length': size });
          response.end(bytes);
          return true;
        };
        const error = await node.pull(ref, source).catch((cause: unknown) => cause);
        assert.ok(error instanceof BilletError, `${reference} at ${at}: ${String(error)}`);
        assert.ok(Object.hasOwn(CODES, error.code) && error.hint.length > 10, error.code);
        // Other bytes than were asked for are the registry's fault, whatever they look like.
        const code = reference === payload ? 'SIGNATURE_INVALID' : 'DIGEST_MISMATCH';
        assert.equal(error.code, code, `${reference} at ${at}: ${error.message}`);
        assert.deepEqual(await node.leftovers(), []);
        tried += 1;
        if (at > size) break;
      }
      assert.ok(tried > 3);
    }
    registry.fault = honest;
    assert.equal((await node.pull(ref, source)).image, ref.image);
    await node.store.collect(EMPTY_ROOTS);
  }
});

test('a tag that points at a damaged signature lets no other module in', async (t) => {
  const shop = await openShop(t);
  const node = await pullNode(t, shop);
  const { ref } = await craft(shop, { layers: [{ files: ordinary('tag', 3000).files }] });
  const registry = await faultyRegistry(t, shop.layout);
  const source = hastySource(registry.origin);
  const tag = `${ref.manifest.replace(':', '-')}.sig`;
  const { bytes: right, mediaType } = await shop.layout.manifest(tag);
  const outcomes = new Set<string>();
  for (let at = 0; at < right.length; at += 11) {
    const bytes = Buffer.from(right);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
    // The same at the tag and at its own digest: a signature that somebody pushed like this.
    registry.fault = ({ kind, reference }, response) => {
      if (kind !== 'manifest' || reference === ref.manifest) return false;
      response.writeHead(200, { 'content-type': mediaType }).end(bytes);
      return true;
    };
    const outcome = await node.pull(ref, source).catch((cause: unknown) => cause);
    // What does not matter to a signature may be changed in its envelope: then it still counts.
    if (outcome instanceof BilletError) {
      outcomes.add(outcome.code);
      assert.ok(outcome.hint.length > 10);
      assert.deepEqual(await node.leftovers(), []);
    } else assert.equal((outcome as { image: string }).image, ref.image, String(outcome));
    await node.store.collect(EMPTY_ROOTS);
  }
  const known = ['SIGNATURE_INVALID', 'SIGNATURE_MISSING', 'OCI_INVALID', 'NOT_FOUND'];
  assert.deepEqual(
    [...outcomes].filter((code) => !known.includes(code)),
    [],
  );
});

test('an ext4 that is full at any point of a pull keeps what it has, and takes it later', {
  skip,
}, async (t) => {
  const shop = await openShop(t);
  const disk = await smallExt4(t, 24 * MiB);
  const node = await pullNode(t, shop, disk.dir);
  const registry = await faultyRegistry(t, shop.layout);
  const source = hastySource(registry.origin);
  const running = await craft(shop, { name: 'running', layers: [ordinary('running')] });
  const many = Array.from({ length: 300 }, (_, index) => ({
    ...{ name: `usr/${index}`, body: noise(100 + 31 * index, `many ${index}`) },
  }));
  const large = { name: 'usr/large', body: noise(3 * MiB, 'large') };
  const { ref } = await craft(shop, { layers: [{ files: many }, { files: [large] }] });
  const { tree } = await node.pull(running.ref, source);
  const before = await node.leftovers();
  const kept = { modules: [running.ref.manifest], images: [] };
  let [full, fits] = [0, 0];
  for (let leftKiB = 1200; leftKiB <= 11_000; leftKiB += 700) {
    await disk.fill(leftKiB * 1024);
    const free = disk.freeBytes();
    const outcome = await node.pull(ref, source).catch((cause: unknown) => cause);
    if (outcome instanceof BilletError) {
      full += 1;
      assert.equal(outcome.code, 'STORE_FULL', outcome.message);
      assert.deepEqual(await node.leftovers(), before);
      // Directories do not shrink on ext4.
      assert.ok(free - disk.freeBytes() < 256 * 1024, `${free - disk.freeBytes()} bytes are lost`);
    } else fits += 1;
    const loaded = await node.store.loadModule(running.ref, shop);
    assert.equal(objectsOf(loaded?.tree ?? tree).size, objectsOf(tree).size);
    assert.equal(loaded?.image, running.ref.image);
    await disk.drain();
    assert.equal((await node.pull(ref, source)).image, ref.image);
    await node.store.collect(kept);
  }
  assert.ok(full >= 3 && fits >= 3, `${full} full, ${fits} fit`);
  await refused(node.pull({ ...ref, image: running.ref.image }, source), 'DIGEST_MISMATCH');
});
