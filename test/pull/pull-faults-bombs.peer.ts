// A few kilobytes that unpack to a full disk. What a layer may unpack to is signed; nothing is written
// beyond that. On a disk of 12 MiB, so that writing more would show. Needs root.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { tarOf } from '#shared/artifact/composefs/tar-testing.ts';
import {
  ANNOTATION_UNPACKED_SIZE,
  withUnpackedSize,
} from '#shared/artifact/module/unpacked-size.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import { needsRoot as skip, smallTmpfs } from './pull-faults-disk.ts';
import {
  type CraftedLayer,
  craft,
  openShop,
  ordinary,
  pullNode,
  refused,
} from './pull-faults-module.ts';
import { faultyRegistry, hastySource, honest } from './pull-faults-registry.ts';

const MiB = 1024 * 1024;
const ZEROS = { name: 'usr/zeros', body: Buffer.alloc(24 * MiB) };
const BOMB = tarOf(ZEROS);

async function setUp(t: TestContext) {
  const shop = await openShop(t);
  const disk = await smallTmpfs(t, 12 * MiB);
  const node = await pullNode(t, shop, disk.dir);
  const registry = await faultyRegistry(t, shop.layout);
  const source = hastySource(registry.origin);
  return { shop, disk, node, registry, source };
}

/** As long as the layer it is served for. */
const PADDED = {
  /** RFC 8878 §3.1.2: a skippable frame. */
  zstd(bomb: Buffer, bytes: number): Buffer {
    const frame = Buffer.alloc(bytes - bomb.length);
    frame.writeUInt32LE(0x184d2a50, 0);
    frame.writeUInt32LE(frame.length - 8, 4);
    return Buffer.concat([bomb, frame]);
  },
  /** What follows the last member of a gzip file is passed over. */
  gzip: (bomb: Buffer, bytes: number) => Buffer.concat([bomb, Buffer.alloc(bytes - bomb.length)]),
};

for (const packing of ['zstd', 'gzip'] as const)
  test(`a bomb (${packing}) in the place of a layer stops at the signed size, and the registry is named`, {
    skip,
  }, async (t) => {
    const { shop, disk, node, registry, source } = await setUp(t);
    const packed = packing === 'zstd' ? zstdCompressSync(BOMB) : gzipSync(BOMB, { level: 9 });
    const layer: CraftedLayer = { ...ordinary('bomb', 500_000), packing };
    const app = await craft(shop, { layers: [layer] });
    const size = app.layers[0]?.size ?? 0;
    const bytes = PADDED[packing](packed, size);
    let least = disk.freeBytes();
    registry.fault = ({ reference }, response) => {
      if (reference !== app.layers[0]?.digest) return false;
      const watch = setInterval(() => {
        least = Math.min(least, disk.freeBytes());
      }, 1);
      response.on('close', () => clearInterval(watch));
      // The rest when what came has been unpacked as far as anybody will.
      response.writeHead(200, { 'content-length': size });
      response.write(bytes.subarray(0, -1), () =>
        setTimeout(() => response.end(bytes.subarray(-1)), 100),
      );
      return true;
    };
    const free = disk.freeBytes();
    const error = await refused(node.pull(app.ref, source), 'DIGEST_MISMATCH');
    assert.match(error.hint, /pull it again/);
    assert.deepEqual(await node.leftovers(), []);
    assert.ok(free - least < 2 * MiB, `${free - least} bytes were written`);
    registry.fault = honest;
    assert.equal((await node.pull(app.ref, source)).image, app.ref.image);
  });

test('a bomb that was signed stops there too; without the limit the disk would be full', {
  skip,
}, async (t) => {
  const { shop, node, source } = await setUp(t);
  for (const packing of ['zstd', 'gzip'] as const) {
    const describe = (layer: Descriptor) => withUnpackedSize(layer, 1 * MiB);
    const layers = [{ files: [ZEROS], packing, describe }];
    const { ref } = await craft(shop, { name: packing, layers });
    const error = await refused(
      node.pull(ref, source),
      'LAYER_TOO_LARGE',
      /more than the 1048576 bytes/,
    );
    assert.match(error.hint, /not the layer that was sealed/);
    assert.deepEqual(await node.leftovers(), []);
  }
  // Mutation: a limit that limits nothing.
  const describe = (layer: Descriptor) => withUnpackedSize(layer, 2 ** 40);
  const { ref } = await craft(shop, { layers: [{ files: [ZEROS], describe }] });
  await refused(node.pull(ref, source), 'STORE_FULL');
  assert.deepEqual(await node.leftovers(), []);
});

test('a layer without a signed size may unpack to 32 times what it is, or 16 MiB', {
  skip,
}, async (t) => {
  const { shop, disk, node, source } = await setUp(t);
  const describe = ({ annotations: _, ...layer }: Descriptor) => layer;
  const bomb = await craft(shop, { layers: [{ files: [ZEROS], describe }] });
  const small = { files: [{ name: 'usr/zeros', body: Buffer.alloc(5 * MiB) }], describe };
  const { ref } = await craft(shop, { name: 'small', layers: [small] });
  assert.equal((await node.pull(ref, source)).image, ref.image);
  // A larger disk, to see the limit and not the end of the disk.
  const large = await pullNode(t, shop);
  const error = await refused(large.pull(bomb.ref, source), 'LAYER_TOO_LARGE', /16777216 bytes/);
  assert.match(error.hint, /billet module seal/);
  assert.deepEqual(await large.leftovers(), []);
  assert.ok(disk.freeBytes() > 0);
});

test('a size that is none is OCI_INVALID before anything is asked for', { skip }, async (t) => {
  const { shop, node, registry, source } = await setUp(t);
  for (const text of ['', '-1', '1e9', '0x10', '99999999999999999999', 'many']) {
    const describe = (layer: Descriptor) => ({
      ...layer,
      annotations: { [ANNOTATION_UNPACKED_SIZE]: text },
    });
    const { ref, layers } = await craft(shop, { layers: [{ ...ordinary(text), describe }] });
    await refused(node.pull(ref, source), 'OCI_INVALID', /is no size/);
    assert.deepEqual(registry.startsOf(layers[0]?.digest ?? ref.image), []);
  }
  assert.deepEqual(await node.leftovers(), []);
});
