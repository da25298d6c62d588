import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { MockAgent } from 'undici';
import { systemClock } from '../../clock.ts';
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

test('a password goes to no token service without HTTPS, where the registry has it', async (t) => {
  const dispatcher = new MockAgent();
  dispatcher.disableNetConnect();
  t.after(() => dispatcher.close());
  const challenge = 'Bearer realm="http://tokens.test/token",service="reg"';
  dispatcher
    .get('https://registry.test')
    .intercept({ path: () => true })
    .reply(401, '', { headers: { 'www-authenticate': challenge } });
  const registry = hastyClient('https://registry.test', { credentials: LOGIN, dispatcher });
  await assert.rejects(readBlob(registry, LAYER, 100), {
    code: 'REGISTRY_DENIED',
    message: /http:\/\/tokens\.test is not HTTPS/,
    hint: /HTTPS only/,
  });
});

test('requests side by side all log in when the registry asks', async (t) => {
  let anonymous = 0;
  const all = Promise.withResolvers<void>();
  const { origin } = await fakeServer(t, async (request, response) => {
    if (request.headers.authorization === BASIC) return response.end(BYTES);
    anonymous += 1;
    if (anonymous === 4) all.resolve();
    await all.promise;
    return response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
  });
  const registry = hastyClient(origin, { credentials: LOGIN });
  await Promise.all(Array.from({ length: 4 }, () => readBlob(registry, LAYER, 100)));
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

/** A registry that wants `Bearer T<n>` of the service's n-th token, for what its scope says. */
async function tokenRegistry(
  t: Parameters<typeof fakeServer>[0],
  issue: (count: number, response: ServerResponse) => unknown,
  scope = 'repository:r:pull',
) {
  const service = await fakeServer(t, (_request, response, count) => issue(count, response));
  const { origin, asked } = await fakeServer(t, (request, response) => {
    const wanted = `Bearer T${service.asked.length}`;
    if (service.asked.length > 0 && request.headers.authorization === wanted)
      return response.end(BYTES);
    const challenge = `Bearer realm="${service.origin}/token",scope="${scope}"`;
    return response.writeHead(401, { 'www-authenticate': challenge }).end();
  });
  return { origin, asked, service };
}

test('each resource of a challenge is a scope parameter of its own (token specification, "Requesting a Token")', async (t) => {
  const scope = 'repository:r:pull,push repository:from:pull';
  const { origin, service } = await tokenRegistry(t, (n, r) => r.end(`{"token":"T${n}"}`), scope);
  await readBlob(hastyClient(origin), LAYER, 100);
  const query = new URLSearchParams(service.asked[0]?.split('?')[1]);
  assert.deepEqual(query.getAll('scope'), scope.split(' '));
});

test('a token is not sent when it has run out by expires_in, and a new one is fetched', async (t) => {
  let nowMs = 0;
  const clock = { ...systemClock, monotonic: () => nowMs };
  const { origin, asked, service } = await tokenRegistry(t, (n, response) =>
    response.end(JSON.stringify({ access_token: `T${n}`, expires_in: 100 })),
  );
  const registry = hastyClient(origin, { clock });
  await readBlob(registry, LAYER, 100);
  nowMs = 89_000;
  await readBlob(registry, LAYER, 100);
  assert.deepEqual([service.asked.length, asked.length], [1, 3]);
  nowMs = 91_000;
  await readBlob(registry, LAYER, 100);
  assert.deepEqual([service.asked.length, asked.length], [2, 5]);
});

test('requests side by side wait for one token', async (t) => {
  const { origin, service } = await tokenRegistry(t, async (n, response) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    response.end(`{"token":"T${n}"}`);
  });
  const registry = hastyClient(origin);
  await Promise.all(Array.from({ length: 5 }, () => readBlob(registry, LAYER, 100)));
  assert.equal(service.asked.length, 1);
});

test('a token service that is busy, down, wrong or refuses is said to be it, with a hint', async (t) => {
  for (const [status, body, code, hint] of [
    [503, '', 'REGISTRY_FAILED', /check that it runs/],
    [404, '', 'REGISTRY_FAILED', /check that it runs/],
    [401, '', 'REGISTRY_DENIED', /user name and password/],
    [200, '{}', 'REGISTRY_FAILED', /registry/],
    [200, '{"token":"a b"}', 'REGISTRY_FAILED', /registry/],
    [200, '<html>', 'REGISTRY_FAILED', /check that it runs/],
  ] as const) {
    const { origin } = await tokenRegistry(t, (_n, r) => r.writeHead(status).end(body));
    await assert.rejects(
      readBlob(hastyClient(origin, { credentials: LOGIN }), LAYER, 100),
      (error) =>
        error instanceof BilletError &&
        error.code === code &&
        hint.test(error.hint) &&
        !`${error.message} ${error.hint} ${JSON.stringify(error.details)}`.includes('secret'),
      `${status} ${body}`,
    );
  }
});
