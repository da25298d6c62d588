// What the registry refuses, in the bodies of distribution-spec v1.1, "Error Codes": a test for each code
// of its table, with status, detail, and that nothing changed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MEDIA } from '../../shared/artifact/oci/media-types.ts';
import { sha256 } from '../../shared/digest.ts';
import {
  type Asked,
  descriptorOf,
  errorsOf,
  imageIn,
  type Method,
  putManifest,
  type RegistryFixture,
  startRegistryFixture,
  verdict,
} from './registry-fixture.ts';

let registry: RegistryFixture;
let image: Buffer;
const GONE = sha256('pushed by nobody');
const NO_UPLOAD = '00000000-0000-4000-8000-000000000000';

before(async () => {
  registry = await startRegistryFixture();
  image = await imageIn(registry, 'e', randomBytes(1000));
  await putManifest(registry, 'e', 'v1', image);
});
after(() => registry.close());

const refused = async (
  expected: readonly [number, string],
  method: Method,
  path: string,
  asked: Asked = {},
) => {
  const reply = await registry.ask(method, path, asked);
  assert.deepEqual(verdict(reply), expected, `${method} ${path}`);
  return { reply, error: errorsOf(reply)[0] };
};
const manifest = (content: unknown) => Buffer.from(JSON.stringify(content));
const asManifest = (body: Buffer, type: string = MEDIA.manifest): Asked => ({
  body,
  headers: { 'content-type': type },
});

test('code-1 BLOB_UNKNOWN, code-7 MANIFEST_UNKNOWN, code-9 NAME_UNKNOWN: what is not there, named in the detail', async () => {
  const blob = await refused([404, 'BLOB_UNKNOWN'], 'GET', `/v2/e/blobs/${GONE}`);
  assert.deepEqual(blob.error?.detail, { digest: GONE });
  for (const reference of ['v9', GONE]) {
    const path = `/v2/e/manifests/${reference}`;
    const { error } = await refused([404, 'MANIFEST_UNKNOWN'], 'GET', path);
    assert.deepEqual(error?.detail, { name: 'e', reference });
  }
  for (const path of ['/v2/none/manifests/v1', '/v2/none/tags/list']) {
    const { error } = await refused([404, 'NAME_UNKNOWN'], 'GET', path);
    assert.deepEqual(error?.detail, { name: 'none' });
  }
});

test('code-2 BLOB_UPLOAD_INVALID, code-3 BLOB_UPLOAD_UNKNOWN: uploads that are elsewhere, or nowhere', async () => {
  const begun = await registry.ask('POST', '/v2/e/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  const part = (range: string) => ({ body: 'abc', headers: { 'content-range': range } });
  const { error } = await refused([416, 'BLOB_UPLOAD_INVALID'], 'PATCH', location, part('7-9'));
  assert.deepEqual(error?.detail, { receivedBytes: 0 });
  for (const range of ['2-0', 'three', '-3', '0-', '0-2, 3-5'])
    await refused([400, 'BLOB_UPLOAD_INVALID'], 'PATCH', location, part(range));
  const elsewhere = location.replace('/v2/e/', '/v2/other/');
  for (const path of [`/v2/e/blobs/uploads/${NO_UPLOAD}`, '/v2/e/blobs/uploads/x', elsewhere])
    for (const method of ['GET', 'PATCH', 'DELETE'] as const)
      await refused([404, 'BLOB_UPLOAD_UNKNOWN'], method, path);
  assert.equal((await registry.ask('DELETE', location)).status, 204);
});

test('code-4 DIGEST_INVALID: digests that break the grammar, and content of another one', async () => {
  const broken = ['sha256:', 'sha256:short', `sha256:${'A'.repeat(64)}`, `md5:${'0'.repeat(32)}`];
  for (const digest of [...broken, `sha512:${'0'.repeat(128)}`, 'sha256:..%2f..%2fetc'])
    for (const path of [`/v2/e/blobs/${digest}`, `/v2/e/manifests/${digest}`])
      await refused([400, 'DIGEST_INVALID'], 'GET', path);
  const path = `/v2/e/manifests/${GONE}`;
  const { error } = await refused([400, 'DIGEST_INVALID'], 'PUT', path, asManifest(image));
  assert.deepEqual(error?.detail, { expected: GONE, actual: sha256(image) });
});

test('code-5 MANIFEST_BLOB_UNKNOWN: one error for each thing that is missing, and no repository made', async () => {
  const layers = [descriptorOf(Buffer.from('one')), descriptorOf(Buffer.from('two'))];
  const orphan = manifest({ ...JSON.parse(image.toString()), layers });
  const { reply } = await refused(
    [404, 'MANIFEST_BLOB_UNKNOWN'],
    'PUT',
    '/v2/e/manifests/v2',
    asManifest(orphan),
  );
  assert.deepEqual(
    errorsOf(reply).map(({ detail }) => detail?.digest),
    layers.map(({ digest }) => digest),
  );
  const children = [descriptorOf(Buffer.from('{}'), MEDIA.manifest)];
  const index = manifest({ schemaVersion: 2, mediaType: MEDIA.index, manifests: children });
  await refused(
    [404, 'MANIFEST_BLOB_UNKNOWN'],
    'PUT',
    '/v2/new/manifests/v1',
    asManifest(index, MEDIA.index),
  );
  await refused([404, 'NAME_UNKNOWN'], 'GET', '/v2/new/tags/list');
  // Layers that nobody may pass on are never pushed (image-spec, layer.md).
  const foreign = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';
  const elsewhere = [descriptorOf(Buffer.from('elsewhere'), foreign)];
  const partial = manifest({ ...JSON.parse(image.toString()), layers: elsewhere });
  assert.equal(
    (await putManifest(registry, 'foreign-layers', 'v1', partial)).status,
    404,
    'its config',
  );
  await imageIn(registry, 'foreign-layers', randomBytes(10));
  assert.equal((await putManifest(registry, 'foreign-layers', 'v1', partial)).status, 201);
});

test('code-6 MANIFEST_INVALID: no JSON, another type, two kinds at once, a tag that breaks the grammar', async () => {
  const fields = JSON.parse(image.toString());
  for (const [body, type] of [
    [Buffer.from('{'), MEDIA.manifest],
    [Buffer.from([0xff, 0xfe]), MEDIA.manifest],
    [manifest({}), MEDIA.manifest],
    [manifest([]), MEDIA.manifest],
    [manifest({ ...fields, schemaVersion: 1 }), MEDIA.manifest],
    [manifest({ ...fields, manifests: [] }), MEDIA.manifest],
    [manifest({ ...fields, layers: [{ ...fields.layers[0], size: -1 }] }), MEDIA.manifest],
    [image, MEDIA.index],
    [image, 'application/json'],
    [image, ''],
  ] as const)
    await refused([400, 'MANIFEST_INVALID'], 'PUT', '/v2/e/manifests/bad', asManifest(body, type));
  for (const tag of ['.hidden', '-dash', 'a+b', 'x'.repeat(129), 'sp%20ace', 'a%0Ab']) {
    await refused([400, 'MANIFEST_INVALID'], 'PUT', `/v2/e/manifests/${tag}`, asManifest(image));
    await refused([404, 'MANIFEST_UNKNOWN'], 'GET', `/v2/e/manifests/${tag}`);
  }
  assert.equal((await putManifest(registry, 'e', 'x'.repeat(128), image)).status, 201);
  await registry.ask('DELETE', `/v2/e/manifests/${'x'.repeat(128)}`);
});

test('code-8 NAME_INVALID: names that break the grammar, none of which becomes a path', async () => {
  for (const name of [
    'UP',
    '-a',
    'a-',
    'a..b',
    'a//b',
    'a/-/b',
    'a+b',
    '%00',
    'a%5Cb',
    '%zz',
    'x'.repeat(201),
  ])
    for (const [method, path] of [
      ['GET', 'tags/list'],
      ['PUT', 'manifests/v1'],
      ['POST', 'blobs/uploads/'],
    ] as const)
      await refused([400, 'NAME_INVALID'], method, `/v2/${name}/${path}`);
  for (const path of ['/v2/..%2f..%2fetc/tags/list', '/v2/%2e%2e/%2e%2e/etc/tags/list'])
    assert.ok([400, 404].includes((await registry.ask('GET', path)).status), path);
});

test('code-10 SIZE_INVALID: a manifest over 4 MiB is 413, however large, and a body that is not its range is 400', async () => {
  for (const sizeBytes of [4 * 2 ** 20 + 1, 32 * 2 ** 20]) {
    const large = asManifest(Buffer.alloc(sizeBytes, 0x20));
    const { error } = await refused([413, 'SIZE_INVALID'], 'PUT', '/v2/e/manifests/big', large);
    assert.deepEqual(error?.detail, { limitBytes: 4 * 2 ** 20 });
  }
  const most = Buffer.concat([image, Buffer.alloc(4 * 2 ** 20 - image.length, 0x20)]);
  assert.equal((await putManifest(registry, 'e', 'most', most)).status, 201);
  assert.deepEqual((await registry.ask('GET', '/v2/e/manifests/most')).bytes, most);
  await registry.ask('DELETE', `/v2/e/manifests/${sha256(most)}`);
  const begun = await registry.ask('POST', '/v2/e/blobs/uploads/');
  const location = begun.headers.get('location') ?? '';
  for (const range of ['0-1', '0-9'])
    await refused([400, 'SIZE_INVALID'], 'PATCH', location, {
      body: 'abc',
      headers: { 'content-range': range },
    });
  assert.equal((await registry.ask('DELETE', location)).status, 204);
});

test('code-11 UNAUTHORIZED, code-12 DENIED, code-14 TOOMANYREQUESTS: who asks', async () => {
  for (const credential of [null, 'wrong'])
    for (const [method, path] of [
      ['GET', '/v2/'],
      ['GET', '/v2/e/manifests/v1'],
      ['POST', '/v2/e/blobs/uploads/'],
    ] as const) {
      const { reply } = await refused([401, 'UNAUTHORIZED'], method, path, { credential });
      assert.equal(reply.headers.get('www-authenticate'), 'Basic realm="billet"');
    }
  const credential = await registry.credential('viewer');
  for (const [method, path] of [
    ['POST', '/v2/e/blobs/uploads/'],
    ['PUT', '/v2/e/manifests/v2'],
    ['DELETE', '/v2/e/manifests/v1'],
  ] as const) {
    const { error } = await refused([403, 'DENIED'], method, path, { credential });
    assert.deepEqual(error?.detail, { role: 'read', method });
  }
  const get = await registry.ask('GET', '/v2/e/manifests/v1', { credential });
  assert.equal(get.status, 200);
  for (let tries = 0; tries < 30; tries += 1)
    await registry.ask('GET', '/v2/', { credential: `guess ${tries}` });
  const { reply } = await refused([429, 'TOOMANYREQUESTS'], 'GET', '/v2/', { credential: 'guess' });
  assert.match(reply.headers.get('retry-after') ?? '', /^\d+$/);
});

test('code-13 UNSUPPORTED: a method that an endpoint has not, with those that it has; a path that is none', async () => {
  for (const [method, path, allow] of [
    ['PUT', '/v2/', 'GET, HEAD'],
    ['POST', '/v2/e/manifests/v1', 'GET, HEAD, PUT, DELETE'],
    ['PUT', `/v2/e/blobs/${GONE}`, 'GET, HEAD, DELETE'],
    ['GET', '/v2/e/blobs/uploads/', 'POST'],
    ['POST', `/v2/e/blobs/uploads/${NO_UPLOAD}`, 'GET, HEAD, PATCH, PUT, DELETE'],
    ['DELETE', '/v2/e/tags/list', 'GET, HEAD'],
    ['POST', `/v2/e/referrers/${GONE}`, 'GET, HEAD'],
  ] as const) {
    const { reply } = await refused([405, 'UNSUPPORTED'], method, path);
    assert.equal(reply.headers.get('allow'), allow);
  }
  for (const path of ['/v2/e', '/v2/e/tags', '/v2/e/tags/other', '/v2/_other'])
    await refused([404, 'UNSUPPORTED'], 'GET', path);
});

test('after all of this the repository is what it was', async () => {
  const list = await registry.ask('GET', '/v2/e/tags/list');
  assert.deepEqual(JSON.parse(list.bytes.toString()).tags, ['v1']);
  assert.deepEqual((await registry.ask('GET', '/v2/e/manifests/v1')).bytes, image);
  const onDisk = join(registry.fixture.stateDir, 'registry');
  assert.deepEqual((await readdir(join(onDisk, 'repositories'))).sort(), ['e', 'foreign-layers']);
  for (const each of await readdir(join(onDisk, 'uploads')))
    assert.deepEqual(await readdir(join(onDisk, 'uploads', each)), [], each);
});
