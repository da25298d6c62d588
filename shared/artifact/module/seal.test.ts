import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { hexOf, sha256 } from '../../digest.ts';
import { BilletError, type Code } from '../../errors.ts';
import { LABEL_FSVERITY } from '../../schema/module.ts';
import { tarOf } from '../composefs/tar-testing.ts';
import type { Layout } from '../oci/layout.ts';
import { parseImageManifest } from '../oci/schema.ts';
import { temporaryLayout } from '../signature/testing.ts';
import { inspectModule } from './inspect.ts';
import { packImage } from './pack.ts';
import { sealImage } from './seal.ts';
import { moduleTemplate, parseModuleSource } from './template.ts';
import { ANNOTATION_UNPACKED_SIZE } from './unpacked-size.ts';

const label = (name = 'web') =>
  parseModuleSource(
    moduleTemplate({ name, kind: 'service', version: '1.0.0' }),
    'MODULE_INVALID',
    'module.json',
  );

const tar = (files: Readonly<Record<string, Buffer>>): Buffer =>
  tarOf(...Object.entries(files).map(([name, body]) => ({ name, body })));

const inPieces = async function* (bytes: Buffer, size = 100_000) {
  for (let offset = 0; offset < bytes.length; offset += size)
    yield bytes.subarray(offset, offset + size);
};

const pack = (layout: Layout, bytes: Buffer, pieces?: number) =>
  packImage({ layout, tag: '1', tar: inPieces(bytes, pieces), architecture: 'amd64', level: 3 });

async function packed(t: TestContext): Promise<Layout> {
  const layout = await temporaryLayout(t);
  await pack(layout, tar({ 'usr/bin/web': randomBytes(5000), 'etc/small': Buffer.from('x') }));
  return layout;
}

const refused = (work: Promise<unknown>, code: Code) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof BilletError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });

test('the same tar gives the same image, however it arrives and however it was packed', async (t) => {
  const bytes = tar({ a: randomBytes(5 << 20), b: Buffer.from('b') });
  const [one, two, three] = [
    await temporaryLayout(t),
    await temporaryLayout(t),
    await temporaryLayout(t),
  ];
  const first = await pack(one, bytes, 1 << 20);
  assert.deepEqual(await pack(two, gzipSync(bytes, { level: 1 }), 777_777), first);
  assert.deepEqual(await pack(three, zstdCompressSync(bytes), 3 << 20), first);
  assert.equal(first.diffId, sha256(bytes));
  const layer = await readFile(one.blobPath(first.layer.digest));
  assert.ok(zstdDecompressSync(layer).equals(bytes));
});

test('an empty tar and a damaged packed one leave no image behind', async (t) => {
  const layout = await temporaryLayout(t);
  await refused(pack(layout, Buffer.alloc(0)), 'TAR_INVALID');
  const cut = gzipSync(randomBytes(100_000)).subarray(0, 50_000);
  await refused(pack(layout, cut), 'OCI_INVALID');
  assert.deepEqual(await layout.tags(), []);
});

test('sealing adds two labels and the unpacked size, keeps the rest, and sealing again changes nothing', async (t) => {
  const layout = await packed(t);
  const before = await layout.manifest('1');
  const sealed = await sealImage(layout, '1', label());
  assert.equal(sealed.changed, true);
  assert.deepEqual(await sealImage(layout, '1', label()), { ...sealed, changed: false });
  const inspected = await inspectModule(layout, '1');
  assert.deepEqual(
    [inspected.digest, inspected.image, inspected.label, inspected.architecture],
    [sealed.digest, sealed.image, label(), 'amd64'],
  );
  const { config, layers } = parseImageManifest(
    (await layout.manifest('1')).bytes,
    before.mediaType,
  );
  const [unsealed] = parseImageManifest(before.bytes, before.mediaType).layers;
  const size = zstdDecompressSync(
    await readFile(layout.blobPath(unsealed?.digest ?? sha256(''))),
  ).length;
  const annotations = { [ANNOTATION_UNPACKED_SIZE]: String(size) };
  assert.deepEqual(layers, [{ ...unsealed, annotations }]);
  const document = JSON.parse(await readFile(layout.blobPath(config.digest), 'utf8'));
  assert.equal(document.config.Labels[LABEL_FSVERITY], hexOf(sealed.image));
  assert.deepEqual(document.history, [{ created_by: 'billet module pack' }]);
  assert.equal(await layout.resolve(before.digest), null);
});

test('another description is another manifest over the same files', async (t) => {
  const layout = await packed(t);
  const web = await sealImage(layout, '1', label('web'));
  const api = await sealImage(layout, '1', label('api'));
  assert.equal(api.image, web.image);
  assert.notEqual(api.digest, web.digest);
});

test('a flipped byte in a layer is DIGEST_MISMATCH, and the image stays unsealed', async (t) => {
  const layout = await packed(t);
  const before = await layout.manifest('1');
  const [layer] = parseImageManifest(before.bytes, before.mediaType).layers;
  assert.ok(layer);
  const path = layout.blobPath(layer.digest);
  const bytes = await readFile(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  await writeFile(path, bytes);
  await assert.rejects(sealImage(layout, '1', label()), (error) => {
    assert.ok(error instanceof BilletError);
    return ['DIGEST_MISMATCH', 'OCI_INVALID'].includes(error.code);
  });
  assert.equal((await layout.resolve('1'))?.digest, before.digest);
  await refused(inspectModule(layout, '1'), 'MODULE_INVALID');
});

test('a tar that climbs out of its root is refused before anything is sealed', async (t) => {
  const layout = await temporaryLayout(t);
  await pack(layout, tar({ '../evil': Buffer.from('x') }));
  await refused(sealImage(layout, '1', label()), 'PATH_ESCAPE');
  await refused(inspectModule(layout, '1'), 'MODULE_INVALID');
});
