import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import { readBlob } from '#shared/artifact/oci/source.ts';
import { systemClock } from '#shared/clock.ts';
import { sha256 } from '#shared/digest.ts';
import { openRegistryServer } from './handler.ts';
import { bytesOf, cutPatch, describe, errorCode, putImage, startRegistry } from './testing.ts';

test('ranges: a part, the end, a resumed tail, and 416 beyond it', async (t) => {
  const { origin, open } = await startRegistry(t);
  const blob = randomBytes(100);
  await open('r').putBlob(describe(blob), bytesOf(blob));
  const get = (range: string, method = 'GET') =>
    fetch(`${origin}/v2/r/blobs/${sha256(blob)}`, { method, headers: { range } });
  for (const [range, first, last] of [
    ['bytes=0-9', 0, 9],
    ['bytes=90-', 90, 99],
    ['bytes=-5', 95, 99],
    ['bytes=95-200', 95, 99],
  ] as const) {
    const response = await get(range);
    assert.deepEqual(
      [response.status, response.headers.get('content-range')],
      [206, `bytes ${first}-${last}/100`],
    );
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), blob.subarray(first, last + 1));
  }
  const beyond = await get('bytes=100-');
  assert.deepEqual([beyond.status, beyond.headers.get('content-range')], [416, 'bytes */100']);
  for (const odd of ['bytes=5-2', 'lines=1-2', 'bytes=0-1,5-6'])
    assert.equal((await get(odd)).status, 200);
});

test('an upload goes on where it was cut, also after a restart; a wrong digest leaves nothing', async (t) => {
  const { root, origin, port, open } = await startRegistry(t);
  const blob = randomBytes(500_000);
  const begun = await fetch(`${origin}/v2/u/blobs/uploads/`, { method: 'POST' });
  const location = `${origin}${begun.headers.get('location')}`;
  await cutPatch(port, new URL(location).pathname, blob.subarray(0, 200_000));
  const arrived = Number((await fetch(location)).headers.get('range')?.slice(2)) + 1;
  assert.equal(arrived, 200_000);
  const wrong = await fetch(location, {
    method: 'PATCH',
    headers: { 'content-range': '7-9' },
    body: 'abc',
  });
  assert.deepEqual([wrong.status, wrong.headers.get('range')], [416, '0-199999']);

  const restarted = await openRegistryServer({ root, clock: systemClock });
  const second = createServer((q, a) => void restarted.handle(q, a, { role: 'write' }));
  await new Promise<void>((resolve) => second.listen(0, '127.0.0.1', resolve));
  t.after(() => second.close());
  const put = await fetch(
    `http://127.0.0.1:${(second.address() as AddressInfo).port}${new URL(location).pathname}?digest=${sha256(blob)}`,
    { method: 'PUT', body: blob.subarray(arrived) },
  );
  assert.equal(put.status, 201);
  assert.deepEqual(await readBlob(open('u'), describe(blob), blob.length), blob);

  const bad = await fetch(`${origin}/v2/u/blobs/uploads/?digest=${sha256('other')}`, {
    method: 'POST',
    body: 'x',
  });
  assert.deepEqual([bad.status, await errorCode(bad)], [400, 'DIGEST_INVALID']);
  assert.equal(await open('u').hasBlob(sha256('x')), false);
  assert.deepEqual(await readdir(join(root, 'uploads', 'u')), []);
});

test('a mounted blob is a hard link that outlives its first repository', async (t) => {
  const { origin, open } = await startRegistry(t);
  const blob = randomBytes(64);
  await open('one').putBlob(describe(blob), bytesOf(blob));
  await open('two').putBlob(describe(blob), () => assert.fail('it has to be mounted'), {
    mountFrom: 'one',
  });
  const gone = await fetch(`${origin}/v2/one/blobs/${sha256(blob)}`, { method: 'DELETE' });
  assert.equal(gone.status, 202);
  assert.deepEqual(await readBlob(open('two'), describe(blob), 64), blob);
});

test('tags come in pages with a Link', async (t) => {
  const { origin, open } = await startRegistry(t);
  for (const tag of ['c', 'a', 'b']) await putImage(open('p'), Buffer.from('same'), tag);
  const page = await fetch(`${origin}/v2/p/tags/list?n=2`);
  assert.deepEqual(await page.json(), { name: 'p', tags: ['a', 'b'] });
  assert.equal(page.headers.get('link'), '</v2/p/tags/list?n=2&last=b>; rel="next"');
  const rest = await fetch(`${origin}/v2/p/tags/list?n=2&last=b`);
  assert.deepEqual(
    [((await rest.json()) as { tags: string[] }).tags, rest.headers.get('link')],
    [['c'], null],
  );
});

test('bad input gets the code of the specification, and changes nothing', async (t) => {
  const { origin, open } = await startRegistry(t);
  const image = await putImage(open('x'), Buffer.from('layer'), '1');
  const content = await open('x').manifest('1');
  const put = (
    reference: string,
    body: string | Uint8Array<ArrayBuffer>,
    type: string = MEDIA.manifest,
  ) =>
    fetch(`${origin}/v2/x/manifests/${reference}`, {
      method: 'PUT',
      body,
      headers: { 'content-type': type },
    });
  const orphan = JSON.stringify({
    ...JSON.parse(Buffer.from(content.bytes).toString()),
    layers: [describe(Buffer.from('gone'))],
  });
  const cases: [Promise<Response>, number, string][] = [
    [put(sha256('other'), Buffer.from(content.bytes)), 400, 'DIGEST_INVALID'],
    [put('2', '{"schemaVersion":2}'), 400, 'MANIFEST_INVALID'],
    [put('2', Buffer.from(content.bytes), MEDIA.index), 400, 'MANIFEST_INVALID'],
    [put('2', 'x', 'text/plain'), 400, 'MANIFEST_INVALID'],
    [put('2', orphan), 404, 'MANIFEST_BLOB_UNKNOWN'],
    [put('2', Buffer.alloc(4 * 1024 * 1024 + 1)), 413, 'SIZE_INVALID'],
    [fetch(`${origin}/v2/x/manifests/9`), 404, 'MANIFEST_UNKNOWN'],
    [fetch(`${origin}/v2/y/manifests/9`), 404, 'NAME_UNKNOWN'],
    [fetch(`${origin}/v2/x/blobs/${sha256('?')}`), 404, 'BLOB_UNKNOWN'],
    [fetch(`${origin}/v2/x/blobs/sha256:..%2f..`), 400, 'DIGEST_INVALID'],
    [fetch(`${origin}/v2/UP/tags/list`), 400, 'NAME_INVALID'],
    [
      fetch(`${origin}/v2/x/blobs/uploads/00000000-0000-0000-0000-000000000000`),
      404,
      'BLOB_UPLOAD_UNKNOWN',
    ],
    [fetch(`${origin}/v2/x/tags/list`, { method: 'POST' }), 405, 'UNSUPPORTED'],
  ];
  for (const [reply, status, code] of cases) {
    const response = await reply;
    assert.deepEqual([response.status, await errorCode(response)], [status, code], response.url);
  }
  assert.deepEqual(await open('x').tags(), ['1']);
  assert.equal((await open('x').resolve('1'))?.digest, image.digest);
});

test('a reader may not write, and a blob over the limit is refused', async (t) => {
  const reader = await startRegistry(t, 'read');
  const denied = await fetch(`${reader.origin}/v2/x/blobs/uploads/`, { method: 'POST' });
  assert.deepEqual([denied.status, await errorCode(denied)], [403, 'DENIED']);
  const { origin } = await startRegistry(t, 'write', 1000);
  const blob = Buffer.alloc(1001);
  const large = await fetch(`${origin}/v2/x/blobs/uploads/?digest=${sha256(blob)}`, {
    method: 'POST',
    body: blob,
  });
  assert.deepEqual([large.status, await errorCode(large)], [413, 'SIZE_INVALID']);
});
