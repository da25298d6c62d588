import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { putBytes, temporaryDirectory, temporaryLayout } from '../signature/testing.ts';
import { openLayout } from './layout.ts';
import { MEDIA } from './media-types.ts';
import { parseReference } from './reference.ts';
import { parseManifest } from './schema.ts';

const codeOf = (code: string) => (error: unknown) =>
  error instanceof BilletError && error.code === code && error.hint !== '';

const index = (note: string) =>
  Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [], annotations: { note } }));

test('tags move, and manifests that lose theirs stay until they are removed', async (t) => {
  const layout = await temporaryLayout(t);
  const one = await layout.putManifest(index('1'), MEDIA.index, 'a');
  const two = await layout.putManifest(index('2'), MEDIA.index, 'a');
  await layout.putManifest(index('2'), MEDIA.index, 'b');
  assert.deepEqual(await layout.tags(), ['a', 'b']);
  assert.deepEqual(await layout.resolve('a'), two);
  assert.deepEqual(await layout.resolve(one.digest), one);
  assert.equal(await layout.removeTag('a'), true);
  assert.equal(await layout.removeTag('a'), false);
  assert.deepEqual(await layout.tags(), ['b']);
  assert.equal(await layout.removeManifest(two.digest), true);
  assert.deepEqual([await layout.tags(), await layout.resolve(two.digest)], [[], null]);
});

test('changes at the same time are all kept', async (t) => {
  const layout = await temporaryLayout(t);
  const tags = Array.from({ length: 20 }, (_, i) => `t${String(i).padStart(2, '0')}`);
  await Promise.all(tags.map((tag) => layout.putManifest(index(tag), MEDIA.index, tag)));
  assert.deepEqual(await (await openLayout(layout.dir)).tags(), tags);
});

test('a blob that is not its digest appears nowhere, and leaves no file', async (t) => {
  const layout = await temporaryLayout(t);
  const bytes = Buffer.from('right');
  const wrong = { mediaType: MEDIA.layerTar, digest: sha256('other'), size: bytes.length };
  const put = layout.putBlob(wrong, async function* () {
    yield bytes;
  });
  await assert.rejects(put, codeOf('DIGEST_MISMATCH'));
  assert.equal(await layout.hasBlob(wrong.digest), false);
  assert.deepEqual(await readdir(join(layout.dir, 'blobs', '.staging')), []);
});

test('a damaged blob ends its stream with DIGEST_MISMATCH, a missing one with NOT_FOUND', async (t) => {
  const layout = await temporaryLayout(t);
  const blob = await putBytes(layout, MEDIA.layerTar, Buffer.from('content'));
  await writeFile(layout.blobPath(blob.digest), 'c0ntent');
  const read = async () => {
    for await (const chunk of layout.blob(blob)) assert.ok(chunk);
  };
  await assert.rejects(read(), codeOf('DIGEST_MISMATCH'));
  await layout.removeBlob(blob.digest);
  await assert.rejects(read(), codeOf('NOT_FOUND'));
  await assert.rejects(openLayout(await temporaryDirectory(t)), codeOf('NOT_FOUND'));
});

test('what could be read as index and as manifest is refused', () => {
  const both = { schemaVersion: 2, manifests: [], layers: [], config: {} };
  for (const [document, type] of [
    [both, MEDIA.index],
    [both, MEDIA.manifest],
    [{ schemaVersion: 2, mediaType: MEDIA.manifest, manifests: [] }, MEDIA.index],
    [{ schemaVersion: 1, manifests: [] }, MEDIA.index],
    [[], MEDIA.index],
  ] as const)
    assert.throws(
      () => parseManifest(Buffer.from(JSON.stringify(document)), type),
      codeOf('OCI_INVALID'),
    );
});

test('references are read as people write them', () => {
  const digest = sha256('x');
  const registry = (host: string, repository: string, tag: string | null) => ({
    kind: 'registry',
    host,
    repository,
    tag,
    digest: null,
  });
  assert.deepEqual(parseReference('host:5000/a/b:v1'), registry('host:5000', 'a/b', 'v1'));
  assert.deepEqual(parseReference('[::1]:5000/a'), registry('[::1]:5000', 'a', null));
  assert.deepEqual(parseReference(`h/a:v@${digest}`), { ...registry('h', 'a', 'v'), digest });
  assert.deepEqual(parseReference('oci:dir/x:v1'), { kind: 'layout', dir: 'dir/x', tag: 'v1' });
  assert.deepEqual(parseReference('/dir'), { kind: 'layout', dir: '/dir', tag: null });
  for (const bad of [
    '',
    'h',
    'h/A',
    'h/a:b:c',
    'h/a@sha256:1',
    'h/../a',
    'oci:',
    'oci:d:t?g',
    'a b/c',
  ])
    assert.throws(() => parseReference(bad), codeOf('ARGUMENT_INVALID'), bad);
});
