// What a registry may answer instead of content: wait, go elsewhere, go elsewhere again.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MockAgent } from 'undici';
import type { RegistryOptions } from '#shared/artifact/oci/registry.ts';
import { type Clock, systemClock } from '#shared/clock.ts';
import { craft, openShop, ordinary, pullNode, refused } from './pull-faults-module.ts';
import { type Fault, faultyRegistry, hastySource, honest } from './pull-faults-registry.ts';

async function setUp(t: TestContext) {
  const shop = await openShop(t);
  const [node, app] = [await pullNode(t, shop), await craft(shop, { layers: [ordinary()] })];
  const registry = await faultyRegistry(t, shop.layout);
  const pull = async (fault: Fault, options: Partial<RegistryOptions> = {}) => {
    registry.fault = fault;
    await node.pull(app.ref, hastySource(registry.origin, options));
    await node.store.collect({ modules: [], images: [] });
  };
  return { shop, node, app, registry, pull };
}

/** Does to the first request what `fault` says, and nothing to the others. */
function once(fault: Fault): Fault {
  let isFirst = true;
  return (asked, response) => {
    const now = isFirst;
    isFirst = false;
    return now && fault(asked, response);
  };
}

const answer =
  (status: number, headers: Record<string, string>): Fault =>
  (_, response) => {
    response.writeHead(status, headers).end('{"errors":[{"code":"TOOMANYREQUESTS"}]}');
    return true;
  };

test('Retry-After is waited for, as seconds or as a date, up to the cap of the backoff', async (t) => {
  const { node, pull } = await setUp(t);
  const waits: number[] = [];
  const clock: Clock = {
    ...systemClock,
    now: () => Date.UTC(1999, 11, 31, 23, 57, 59),
    sleep: (ms, signal) => {
      if (ms < 200_000) waits.push(Math.floor(ms / 1000));
      return systemClock.sleep(ms < 200_000 ? 1 : ms, signal);
    },
  };
  const backoff = { attempts: 3, baseMs: 4, capMs: 150_000 };
  const stall = { minBytesPerSecond: 128, windowMs: 1_000_000 };
  const options = { clock, backoff, stall };
  // RFC 9110 §10.2.3: `Retry-After: 120`, and an HTTP-date, which is 120 seconds from `now` here.
  // RFC 6585 §4: 429 with Retry-After.
  const asked: readonly (readonly [number, string])[] = [
    [429, '120'],
    [503, 'Fri, 31 Dec 1999 23:59:59 GMT'],
    [503, '86400'],
    [503, 'Thu, 30 Dec 1999 23:59:59 GMT'],
    [503, '-120'],
    [503, 'soon'],
  ];
  for (const [status, after] of asked) {
    const busy = once(answer(status, { 'retry-after': after }));
    await pull((one, response) => one.kind === 'blob' && busy(one, response), options);
  }
  assert.deepEqual(waits, [120, 120, 150, 0, 0, 0]);
  // Mutation: who does not wait and try again does not get it.
  const never = { ...options, backoff: { ...backoff, attempts: 1 } };
  const error = await refused(
    pull(once(answer(429, { 'retry-after': '120' })), never),
    'REGISTRY_FAILED',
    /status 429 \(TOOMANYREQUESTS\)/,
  );
  assert.equal(error.retryable, true);
  await refused(pull(answer(503, {}), options), 'REGISTRY_FAILED', /gave up after 3 tries/);
  assert.deepEqual(await node.leftovers(), []);
});

test('a redirect to another host is followed without credentials, range and all', async (t) => {
  const { shop, app, node, registry } = await setUp(t);
  // distribution-spec v1.1, "Pulling blobs": a 307 to where the blob lies. RFC 9110 §15.4.
  const elsewhere = await faultyRegistry(t, shop.layout);
  const [layer] = app.layers;
  let cut = false;
  elsewhere.fault = (asked, response) => {
    if (cut) return false;
    cut = true;
    response.writeHead(200, { 'content-length': asked.bytes.length });
    response.write(asked.bytes.subarray(0, 100_000), () =>
      setTimeout(() => response.destroy(), 10),
    );
    return true;
  };
  registry.fault = ({ reference }, response) => {
    if (reference !== layer?.digest) return false;
    const location = `${elsewhere.origin}/v2/team/app/blobs/${reference}`;
    response.writeHead(307, { location }).end();
    return true;
  };
  const credentials = { kind: 'bearer', token: 'secret' } as const;
  await node.pull(app.ref, hastySource(registry.origin, { credentials }));
  assert.ok(registry.asked.every(({ headers }) => headers.authorization === 'Bearer secret'));
  assert.deepEqual(
    elsewhere.asked.map(({ headers, from }) => [headers.authorization, from]),
    [
      [undefined, null],
      [undefined, 100_000],
    ],
  );
});

test('redirects in a circle, to no HTTP and to no URL end the pull', async (t) => {
  const { app, node, registry, pull } = await setUp(t);
  const to =
    (location: (reference: string) => string): Fault =>
    ({ kind, reference }, response) =>
      kind === 'blob' && answer(307, { location: location(reference) })({} as never, response);
  const circle = to((reference) => `/v2/team/app/blobs/${reference}`);
  await refused(pull(circle), 'REGISTRY_FAILED', /more than 5 redirects/);
  assert.ok(registry.asked.filter(({ kind }) => kind === 'blob').length <= 6);
  await refused(pull(to(() => 'file:///etc/shadow')), 'REGISTRY_FAILED', /redirect to/);
  await refused(pull(to(() => 'http://')), 'REGISTRY_FAILED', /redirect to no URL/);
  assert.deepEqual(await node.leftovers(), []);
  registry.fault = honest;
  await node.pull(app.ref, hastySource(registry.origin));
});

test('a redirect from HTTPS to HTTP is refused, and nothing is sent there', async (t) => {
  const { app, node, registry } = await setUp(t);
  const https = new MockAgent();
  https.disableNetConnect();
  t.after(() => https.close());
  https
    .get('https://registry.test')
    .intercept({ path: () => true })
    .reply(302, '', { headers: { location: `${registry.origin}/v2/team/app/manifests/1` } });
  const source = hastySource('https://registry.test', { dispatcher: https });
  await refused(node.pull(app.ref, source), 'REGISTRY_FAILED', /redirect to http:/);
  assert.deepEqual(registry.asked, []);
  assert.deepEqual(await node.leftovers(), []);
});
