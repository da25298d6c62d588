// The endpoints of the registry that read, each by its row in the table of distribution-spec v1.1,
// "Endpoints" (end-1, 2, 3, 8, 12), and by the section that says what it answers.

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

test('end-1, "Determining Support": 200 for who logs in, 401 with a challenge for others', async () => {
  assert.equal((await ask('GET', '/v2/')).status, 200);
  const anonymous = await ask('GET', '/v2/', { credential: null });
  assert.deepEqual(verdict(anonymous), [401, 'UNAUTHORIZED']);
  assert.equal(anonymous.headers.get('www-authenticate'), 'Basic realm="billet"');
  assert.deepEqual(verdict(await ask('GET', '/v2/', { credential: 'wrong' })), [
    401,
    'UNAUTHORIZED',
  ]);
});

test('end-2, "Pulling blobs": GET and HEAD, ranges (RFC 9110 §14), what the client holds is not sent', async () => {
  const digest = await putBlob(registry, 'e2', LAYER);
  const path = `/v2/e2/blobs/${digest}`;
  for (const written of [path, path.replace('sha256:', 'sha256%3A')]) {
    const whole = await ask('GET', written);
    assert.deepEqual([whole.status, whole.bytes], [200, LAYER]);
    assert.equal(whole.headers.get('docker-content-digest'), digest);
  }
  const head = await ask('HEAD', path);
  assert.deepEqual(
    [head.status, head.headers.get('content-length'), head.bytes.length],
    [200, '10000', 0],
  );
  const range = (value: string, more = {}) =>
    ask('GET', path, { headers: { range: value, ...more } });
  for (const [asked, first, last] of [
    ['bytes=0-0', 0, 0],
    ['bytes=100-199', 100, 199],
    ['bytes=9990-', 9990, 9999],
    ['bytes=-10', 9990, 9999],
    ['bytes=9000-20000', 9000, 9999],
  ] as const) {
    const part = await range(asked);
    assert.deepEqual([part.status, part.bytes], [206, LAYER.subarray(first, last + 1)], asked);
    assert.equal(part.headers.get('content-range'), `bytes ${first}-${last}/10000`);
  }
  const beyond = await range('bytes=10000-');
  assert.deepEqual([beyond.status, beyond.headers.get('content-range')], [416, 'bytes */10000']);
  const etag = head.headers.get('etag') ?? '';
  assert.equal((await range('bytes=0-9', { 'if-range': etag })).status, 206);
  assert.equal((await range('bytes=0-9', { 'if-range': '"another"' })).status, 200);
  for (const held of [etag, `"another", ${etag}`, `W/${etag}`, '*']) {
    const unchanged = await ask('GET', path, { headers: { 'if-none-match': held } });
    assert.deepEqual([unchanged.status, unchanged.bytes.length], [304, 0], held);
  }
  const other = await ask('GET', path, { headers: { 'if-none-match': '"another"' } });
  assert.equal(other.status, 200);
  const absent = await ask('GET', `/v2/e2/blobs/${GONE}`);
  assert.deepEqual(verdict(absent), [404, 'BLOB_UNKNOWN']);
  assert.deepEqual(errorsOf(absent)[0]?.detail, { digest: GONE });
  assert.equal((await ask('HEAD', `/v2/e2/blobs/${GONE}`)).status, 404);
});

test('end-3, "Pulling manifests": the very bytes and their type, by tag and by digest', async () => {
  const image = await imageIn(registry, 'e3', LAYER);
  await putManifest(registry, 'e3', 'v1', image);
  for (const reference of ['v1', sha256(image)]) {
    const path = `/v2/e3/manifests/${reference}`;
    const whole = await ask('GET', path);
    assert.deepEqual([whole.status, whole.bytes], [200, image]);
    assert.equal(whole.headers.get('content-type'), MEDIA.manifest);
    assert.equal(whole.headers.get('docker-content-digest'), sha256(image));
    const head = await ask('HEAD', path);
    assert.deepEqual(
      [head.status, head.headers.get('content-length'), head.headers.get('content-type')],
      [200, String(image.length), MEDIA.manifest],
    );
    const etag = head.headers.get('etag') ?? '';
    assert.equal((await ask('GET', path, { headers: { 'if-none-match': etag } })).status, 304);
  }
  for (const reference of ['v2', GONE])
    assert.deepEqual(verdict(await ask('GET', `/v2/e3/manifests/${reference}`)), [
      404,
      'MANIFEST_UNKNOWN',
    ]);
  assert.equal((await ask('HEAD', '/v2/e3/manifests/v2')).status, 404);
  // A blob is no manifest, though both are content.
  assert.equal((await ask('GET', `/v2/e3/manifests/${sha256(LAYER)}`)).status, 404);
  assert.deepEqual(verdict(await ask('GET', '/v2/e3-none/manifests/v1')), [404, 'NAME_UNKNOWN']);
});

test('end-8a and end-8b, "Listing Tags": in order, n of them after last, a Link to the rest', async () => {
  const image = await imageIn(registry, 'e8', LAYER);
  for (const tag of ['v10', 'v2', 'latest', 'V1', 'a.b_c-d'])
    await putManifest(registry, 'e8', tag, image);
  const all = ['V1', 'a.b_c-d', 'latest', 'v10', 'v2'];
  const list = (query: string) => ask('GET', `/v2/e8/tags/list${query}`);
  assert.deepEqual(json(await list('')), { name: 'e8', tags: all });
  const seen: string[] = [];
  let next = '/v2/e8/tags/list?n=2';
  for (let page = 1; next !== ''; page += 1) {
    const reply = await ask('GET', next);
    assert.ok(page <= 3 && json(reply).tags.length <= 2);
    seen.push(...json(reply).tags);
    next = /^<([^>]+)>; rel="next"$/.exec(reply.headers.get('link') ?? '')?.[1] ?? '';
  }
  assert.deepEqual(seen, all);
  const none = await list('?n=0');
  assert.deepEqual([json(none).tags, none.headers.get('link')], [[], null]);
  assert.deepEqual(json(await list('?last=b')).tags, ['latest', 'v10', 'v2']);
  assert.deepEqual(json(await list('?n=1&last=latest')).tags, ['v10']);
  assert.deepEqual(json(await list('?n=100')).tags, all);
  assert.deepEqual(verdict(await ask('GET', '/v2/e8-none/tags/list')), [404, 'NAME_UNKNOWN']);
});

test('end-12a and end-12b, "Listing Referrers": all, or those of a type and the header that says so', async () => {
  const image = await imageIn(registry, 'e12', LAYER);
  await putManifest(registry, 'e12', 'v1', image);
  const subject = descriptorOf(image, MEDIA.manifest);
  const annotations = { note: 'kept' };
  const sbom = await imageIn(registry, 'e12', LAYER, {
    subject,
    artifactType: 'a/sbom',
    annotations,
  });
  const untyped = await imageIn(registry, 'e12', LAYER, { subject });
  for (const each of [sbom, untyped]) await putManifest(registry, 'e12', sha256(each), each);
  const list = (digest: string, query = '') => ask('GET', `/v2/e12/referrers/${digest}${query}`);
  const all = await list(sha256(image));
  assert.equal(all.headers.get('content-type'), MEDIA.index);
  assert.equal(all.headers.get('oci-filters-applied'), null);
  assert.deepEqual(json(all), {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: [
      { ...descriptorOf(sbom, MEDIA.manifest), annotations, artifactType: 'a/sbom' },
      { ...descriptorOf(untyped, MEDIA.manifest), artifactType: MEDIA.empty },
    ],
  });
  const typed = await list(sha256(image), '?artifactType=a%2Fsbom');
  assert.equal(typed.headers.get('oci-filters-applied'), 'artifactType');
  assert.deepEqual(
    json(typed).manifests.map(({ digest }: { digest: string }) => digest),
    [sha256(sbom)],
  );
  assert.deepEqual(json(await list(sha256(image), '?artifactType=a%2Fother')).manifests, []);
  for (const path of [`/v2/e12/referrers/${GONE}`, `/v2/e12-none/referrers/${GONE}`]) {
    const none = await ask('GET', path);
    assert.deepEqual([none.status, json(none).manifests], [200, []]);
  }
  assert.deepEqual(verdict(await list('sha256:short')), [400, 'DIGEST_INVALID']);
});
