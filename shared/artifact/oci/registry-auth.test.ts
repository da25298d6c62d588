import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { MEDIA } from './media-types.ts';
import { parseChallenges } from './registry-auth.ts';
import { readBlob } from './source.ts';
import { fakeServer, hastyClient } from './testing.ts';

const BYTES = Buffer.from('content');
const LAYER = { mediaType: MEDIA.layerTar, digest: sha256(BYTES), size: BYTES.length };
const LOGIN = { kind: 'basic', username: 'ann', password: 'secret' } as const;
const BASIC = `Basic ${Buffer.from('ann:secret').toString('base64')}`;

test('tokens are fetched from the service that the registry names, and used for its scope', async (t) => {
  const seen: (string | undefined)[] = [];
  const service = await fakeServer(t, (request, response) => {
    seen.push(request.headers.authorization);
    response.end(JSON.stringify({ token: 'T1' }));
  });
  const { origin, asked } = await fakeServer(t, (request, response) => {
    if (request.headers.authorization === 'Bearer T1') return response.end(BYTES);
    const challenge = `Bearer realm="${service.origin}/token",service="reg",scope="repository:r:pull"`;
    return response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  const registry = hastyClient(origin, { credentials: LOGIN });
  await readBlob(registry, LAYER, 100);
  await readBlob(registry, LAYER, 100);
  assert.deepEqual(service.asked, ['GET /token?service=reg&scope=repository%3Ar%3Apull']);
  assert.deepEqual([seen, asked.length], [[BASIC], 3]);
});

test('basic credentials go out only after the registry asks, and wrong ones are REGISTRY_DENIED', async (t) => {
  const seen: (string | undefined)[] = [];
  const { origin } = await fakeServer(t, (request, response) => {
    seen.push(request.headers.authorization);
    if (request.headers.authorization === BASIC) return response.end(BYTES);
    return response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
  });
  await readBlob(hastyClient(origin, { credentials: LOGIN }), LAYER, 100);
  assert.deepEqual(seen, [undefined, BASIC]);
  const denied = (error: unknown) =>
    error instanceof BilletError && error.code === 'REGISTRY_DENIED';
  const wrong = { ...LOGIN, password: 'other' };
  await assert.rejects(readBlob(hastyClient(origin, { credentials: wrong }), LAYER, 100), denied);
  await assert.rejects(readBlob(hastyClient(origin), LAYER, 100), denied);
});

test('a redirect to another origin is followed without credentials', async (t) => {
  const seen: (string | undefined)[] = [];
  const store = await fakeServer(t, (request, response) => {
    seen.push(request.headers.authorization);
    response.end(BYTES);
  });
  const { origin } = await fakeServer(t, (_request, response) =>
    response.writeHead(307, { location: `${store.origin}/blob?signed=1` }).end(),
  );
  const credentials = { kind: 'bearer', token: 'secret' } as const;
  await readBlob(hastyClient(origin, { credentials }), LAYER, 100);
  assert.deepEqual(seen, [undefined]);
});

test('redirects in a circle, and to no HTTP, end with REGISTRY_FAILED', async (t) => {
  for (const location of ['/v2/again', 'file:///etc/passwd', 'http://[']) {
    const { origin } = await fakeServer(t, (_q, response) =>
      response.writeHead(302, { location }).end(),
    );
    await assert.rejects(
      readBlob(hastyClient(origin), LAYER, 100),
      (error) => error instanceof BilletError && error.code === 'REGISTRY_FAILED',
      location,
    );
  }
});

test('challenges are read as RFC 9110 writes them', () => {
  assert.deepEqual(
    parseChallenges('Bearer realm="https://a/t?x=1,2", service=reg,Basic realm="q\\"q"'),
    [
      { scheme: 'bearer', parameters: { realm: 'https://a/t?x=1,2', service: 'reg' } },
      { scheme: 'basic', parameters: { realm: 'q"q' } },
    ],
  );
  assert.deepEqual(parseChallenges('basic'), [{ scheme: 'basic', parameters: {} }]);
  for (const odd of ['', '=', 'Digest realm="x"', 'Bearer"', '"'.repeat(2000)])
    assert.deepEqual(
      parseChallenges(odd).filter(({ parameters }) => 'realm' in parameters),
      [],
      odd,
    );
});

test('without a referrers API the fallback tag is read and written', async (t) => {
  const manifests = new Map<string, { body: Buffer; type: string }>();
  const { origin } = await fakeServer(t, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const reference = request.url?.split('/manifests/')[1] ?? '';
    if (request.method === 'PUT') {
      manifests.set(reference, {
        body: Buffer.concat(chunks),
        type: request.headers['content-type'] ?? '',
      });
      return response.writeHead(201).end();
    }
    const found = manifests.get(reference);
    if (found === undefined) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': found.type }).end(found.body);
  });
  const registry = hastyClient(origin);
  const subject = { mediaType: MEDIA.manifest, digest: sha256('image'), size: 5 };
  const empty = { mediaType: MEDIA.empty, digest: sha256('{}'), size: 2 };
  const artifact = (artifactType: string) =>
    Buffer.from(
      JSON.stringify({ schemaVersion: 2, artifactType, config: empty, layers: [], subject }),
    );
  assert.deepEqual(await registry.referrers(subject.digest), []);
  for (const type of ['a/one', 'a/two', 'a/one'])
    await registry.putManifest(artifact(type), MEDIA.manifest);
  assert.equal((await registry.referrers(subject.digest)).length, 2);
  const [one] = await registry.referrers(subject.digest, 'a/one');
  assert.equal(one?.digest, sha256(artifact('a/one')));
});
