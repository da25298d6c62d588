// The endpoints of the registry that write, each by its row in the table of distribution-spec v1.1,
// "Endpoints" (end-4 to 7, 9, 10, 11, 13), and by the section that says what it answers.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { MEDIA } from '../../shared/artifact/oci/media-types.ts';
import { sha256 } from '../../shared/digest.ts';
import {
  descriptorOf,
  errorsOf,
  imageIn,
  putBlob,
  putManifest,
  type RegistryFixture,
  type Reply,
  startRegistryFixture,
  verdict,
} from './registry-fixture.ts';

let registry: RegistryFixture;
const ask: RegistryFixture['ask'] = (...args) => registry.ask(...args);
const json = ({ bytes }: Reply) => JSON.parse(bytes.toString());
const LAYER = randomBytes(10_000);
const GONE = sha256('pushed by nobody');

before(async () => {
  registry = await startRegistryFixture();
});
after(() => registry.close());

test('end-4a and end-6, "POST then PUT"; end-4b, "Single POST"; end-13 and end-10 of an upload', async () => {
  const begun = await ask('POST', '/v2/e4/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  assert.equal(begun.status, 202);
  const put = await ask('PUT', `${location}?digest=${sha256(LAYER)}`, { body: LAYER });
  assert.equal(put.status, 201);
  const stored = await ask('GET', put.headers.get('location') ?? '');
  assert.deepEqual(stored.bytes, LAYER);
  assert.equal((await ask('GET', location)).status, 404, 'the session is over');
  const single = randomBytes(100);
  assert.equal(await putBlob(registry, 'e4', single), sha256(single));
  const empty = await putBlob(registry, 'e4', Buffer.alloc(0));
  assert.equal((await ask('GET', `/v2/e4/blobs/${empty}`)).headers.get('content-length'), '0');

  const cancelled = (await ask('POST', '/v2/e4/blobs/uploads/')).headers.get('location') ?? '';
  assert.equal((await ask('GET', cancelled)).status, 204);
  assert.equal((await ask('DELETE', cancelled)).status, 204);
  for (const method of ['GET', 'PATCH', 'DELETE'] as const)
    assert.deepEqual(verdict(await ask(method, cancelled)), [404, 'BLOB_UPLOAD_UNKNOWN']);
});

test('end-5 and end-13, "Pushing a blob in chunks": each begins where the last one ended, else 416', async () => {
  const begun = await ask('POST', '/v2/e5/blobs/uploads/');
  let location = begun.headers.get('location') ?? '';
  const part = (first: number, last: number) => ({
    body: LAYER.subarray(first, last + 1),
    headers: { 'content-range': `${first}-${last}`, 'content-type': 'application/octet-stream' },
  });
  const one = await ask('PATCH', location, part(0, 3999));
  assert.deepEqual([one.status, one.headers.get('range')], [202, '0-3999']);
  location = one.headers.get('location') ?? '';
  for (const [first, last] of [
    [0, 3999],
    [3999, 4999],
    [4001, 5000],
  ] as const) {
    const misplaced = await ask('PATCH', location, part(first, last));
    assert.deepEqual(verdict(misplaced), [416, 'BLOB_UPLOAD_INVALID']);
    assert.equal(misplaced.headers.get('range'), '0-3999');
    assert.equal(misplaced.headers.get('location'), location);
  }
  const lie = await ask('PATCH', location, {
    body: LAYER.subarray(4000, 4100),
    headers: { 'content-range': '4000-4999' },
  });
  assert.deepEqual(verdict(lie), [400, 'SIZE_INVALID']);
  const status = await ask('GET', location);
  assert.deepEqual([status.status, status.headers.get('range')], [204, '0-3999']);
  assert.equal((await ask('PATCH', location, part(4000, 7999))).status, 202);
  const closing = await ask('PUT', `${location}?digest=${sha256(LAYER)}`, part(8000, 9999));
  assert.equal(closing.status, 201);
  assert.deepEqual((await ask('GET', `/v2/e5/blobs/${sha256(LAYER)}`)).bytes, LAYER);
});

test('end-7, "Pushing Manifests": Location, and OCI-Subject for a manifest with a subject that may not be there', async () => {
  const image = await imageIn(registry, 'e7', LAYER);
  const put = await putManifest(registry, 'e7', 'v1', image);
  assert.equal(put.status, 201);
  assert.deepEqual((await ask('GET', put.headers.get('location') ?? '')).bytes, image);
  assert.equal(put.headers.get('oci-subject'), null);
  const subject = { mediaType: MEDIA.manifest, digest: GONE, size: 12 };
  const artifact = await imageIn(registry, 'e7', LAYER, { subject, artifactType: 'a/b' });
  const attached = await putManifest(registry, 'e7', sha256(artifact), artifact);
  assert.deepEqual([attached.status, attached.headers.get('oci-subject')], [201, GONE]);
  const index = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA.index,
      manifests: [descriptorOf(image, MEDIA.manifest)],
    }),
  );
  assert.equal((await putManifest(registry, 'e7', 'all', index, MEDIA.index)).status, 201);
});

test('end-9, "Deleting tags", "Deleting Manifests": a tag leaves its manifest, a digest takes its tags', async () => {
  const image = await imageIn(registry, 'e9', LAYER);
  for (const tag of ['one', 'two', 'three']) await putManifest(registry, 'e9', tag, image);
  assert.equal((await ask('DELETE', '/v2/e9/manifests/one')).status, 202);
  assert.equal((await ask('GET', '/v2/e9/manifests/one')).status, 404);
  assert.equal((await ask('GET', `/v2/e9/manifests/${sha256(image)}`)).status, 200);
  const index = Buffer.from(
    JSON.stringify({ schemaVersion: 2, manifests: [descriptorOf(image, MEDIA.manifest)] }),
  );
  await putManifest(registry, 'e9', 'all', index, MEDIA.index);
  const held = await ask('DELETE', `/v2/e9/manifests/${sha256(image)}`);
  assert.deepEqual(verdict(held), [405, 'UNSUPPORTED']);
  assert.deepEqual(errorsOf(held)[0]?.detail, { listedBy: [sha256(index)] });
  assert.equal((await ask('DELETE', `/v2/e9/manifests/${sha256(index)}`)).status, 202);
  assert.equal((await ask('DELETE', `/v2/e9/manifests/${sha256(image)}`)).status, 202);
  assert.deepEqual(json(await ask('GET', '/v2/e9/tags/list')).tags, []);
  for (const reference of ['two', sha256(image), GONE])
    assert.deepEqual(verdict(await ask('DELETE', `/v2/e9/manifests/${reference}`)), [
      404,
      'MANIFEST_UNKNOWN',
    ]);
});

test('end-10, "Deleting Blobs": not while a manifest lists it, once, and only here', async () => {
  const image = await imageIn(registry, 'e10', LAYER);
  await putManifest(registry, 'e10', 'v1', image);
  const path = `/v2/e10/blobs/${sha256(LAYER)}`;
  const held = await ask('DELETE', path);
  assert.deepEqual(verdict(held), [405, 'UNSUPPORTED']);
  assert.deepEqual(errorsOf(held)[0]?.detail, { listedBy: [sha256(image)] });
  assert.equal((await ask('GET', path)).status, 200);
  assert.deepEqual(verdict(await ask('DELETE', `/v2/e10/blobs/${sha256(image)}`)), [
    405,
    'UNSUPPORTED',
  ]);
  await ask('DELETE', `/v2/e10/manifests/${sha256(image)}`);
  assert.equal((await ask('DELETE', path)).status, 202);
  assert.deepEqual(verdict(await ask('DELETE', path)), [404, 'BLOB_UNKNOWN']);
  assert.equal((await ask('GET', path)).status, 404);
});

test('end-11, "Mounting a blob from another repository": 201, or 202 and an upload where it cannot be', async () => {
  const digest = await putBlob(registry, 'e11-source', LAYER);
  const mount = (query: string) => ask('POST', `/v2/e11/blobs/uploads/?${query}`);
  for (const query of [
    `mount=${GONE}&from=e11-source`,
    `mount=${digest}&from=e11-none`,
    `mount=${digest}&from=..%2Fe11-source`,
    `mount=${digest}`,
  ]) {
    const begun = await mount(query);
    assert.equal(begun.status, 202, query);
    assert.equal((await ask('DELETE', begun.headers.get('location') ?? '')).status, 204);
  }
  assert.deepEqual(verdict(await ask('GET', '/v2/e11/tags/list')), [404, 'NAME_UNKNOWN']);
  const mounted = await mount(`mount=${digest}&from=e11-source`);
  assert.deepEqual(
    [mounted.status, mounted.headers.get('location')],
    [201, `/v2/e11/blobs/${digest}`],
  );
  await ask('DELETE', `/v2/e11-source/blobs/${digest}`);
  assert.deepEqual((await ask('GET', `/v2/e11/blobs/${digest}`)).bytes, LAYER);
});
