// Layers that stop in the middle: what is asked for next, what a wrong answer to that gets, and how
// long a node waits. Each claim of recovery is taken away once, and then the pull fails.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { RegistryOptions } from '#shared/artifact/oci/registry.ts';
import { type Clock, systemClock } from '#shared/clock.ts';
import type { Code } from '#shared/errors.ts';
import { craft, noise, openShop, ordinary, pullNode, refused } from './pull-faults-module.ts';
import {
  cutAfter,
  type Fault,
  faultyRegistry,
  hastySource,
  honest,
  right,
} from './pull-faults-registry.ts';

const ONCE: Partial<RegistryOptions> = { backoff: { attempts: 1, baseMs: 1, capMs: 1 } };

async function setUp(t: TestContext) {
  const shop = await openShop(t);
  const [node, app] = [await pullNode(t, shop), await craft(shop, { layers: [ordinary()] })];
  const registry = await faultyRegistry(t, shop.layout);
  const [layer] = app.layers;
  assert.ok(layer);
  /** `fault` for requests of the layer; the first byte that each asked for. */
  const pull = async (fault: Fault, options: Partial<RegistryOptions> = {}) => {
    registry.asked.length = 0;
    registry.fault = (asked, response) =>
      asked.reference === layer.digest && fault(asked, response);
    const { signal } = options;
    const source = hastySource(registry.origin, options);
    await node.pull(app.ref, source, signal === undefined ? {} : { signal });
    await node.store.collect({ modules: [], images: [] });
    return registry.startsOf(layer.digest);
  };
  const fails = async (fault: Fault, code: Code, message?: RegExp, options = {}) => {
    const error = await refused(pull(fault, options), code, message);
    assert.deepEqual(await node.leftovers(), []);
    return error;
  };
  return { shop, node, app, layer, registry, pull, fails };
}

/** The first answer breaks off after `bytes`; later ones are `then`. */
const brokenOnce =
  (bytes: number, then: Fault = honest): Fault =>
  (asked, response) => {
    if (asked.from !== null) return then(asked, response);
    cutAfter(bytes, asked, response);
    return true;
  };

test('a registry that goes away in mid-layer is asked for the rest, and for nothing twice', async (t) => {
  const { layer, pull, fails } = await setUp(t);
  // RFC 9110 §14.2, §15.3.7: `Range: bytes=N-` and 206 with Content-Range.
  assert.deepEqual(await pull(brokenOnce(200_000)), [0, 200_000]);
  const thirds: Fault = (asked, response) => {
    if ((asked.from ?? 0) + 100_000 >= layer.size) return false;
    cutAfter(100_000, asked, response);
    return true;
  };
  assert.deepEqual(await pull(thirds), [0, 100_000, 200_000, 300_000]);
  // A connection that is cut behind the last byte has brought everything.
  assert.deepEqual(await pull(brokenOnce(layer.size)), [0]);
  // Mutation: a client that does not try again.
  await fails(brokenOnce(200_000), 'REGISTRY_FAILED', /connection lost/, ONCE);
});

test('it may be away for a while: nothing listens, and then the rest comes', async (t) => {
  const { app, node, layer, registry, shop } = await setUp(t);
  const waits: number[] = [];
  let away = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: (ms, signal) => {
      if (ms < 100) waits.push(ms);
      return systemClock.sleep(ms, signal);
    },
  };
  registry.fault = (asked, response) => {
    if (asked.reference !== layer.digest) return false;
    if (asked.from === null) cutAfter(150_000, asked, response);
    // Away: connections end before an answer.
    else if (away++ < 2) response.destroy();
    else right(asked, response);
    return true;
  };
  await node.pull(app.ref, hastySource(registry.origin, { clock }));
  assert.deepEqual(registry.startsOf(layer.digest), [0, 150_000, 150_000, 150_000]);
  assert.ok(waits.length >= 3 && (waits[1] ?? 0) < (waits[2] ?? 0), String(waits));
  // The next life of the agent has the module, and asks for nothing.
  await node.store.close();
  registry.asked.length = 0;
  const later = await pullNode(t, shop, node.dir.replace(/\/store$/, ''));
  assert.equal((await later.pull(app.ref, hastySource(registry.origin))).pulledBytes, 0);
  assert.deepEqual(registry.asked, []);
});

test('a registry without ranges sends it all again, and no byte counts twice', async (t) => {
  const { pull } = await setUp(t);
  // RFC 9110 §14.2: a server may ignore Range.
  const ignores: Fault = (asked, response) => {
    right({ ...asked, from: null }, response);
    return true;
  };
  assert.deepEqual(await pull(brokenOnce(200_000, ignores)), [0, 200_000]);
});

test('the answer to another range is refused, whatever its headers say', async (t) => {
  const { layer, fails } = await setUp(t);
  const { size } = layer;
  const partial =
    (from: number, to: number, total: number | string, shift = 0): Fault =>
    ({ bytes }, response) => {
      const body = bytes.subarray(from + shift, to + 1 + shift);
      response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${total}` }).end(body);
      return true;
    };
  // RFC 9110 §14.4: first and last position, and the size of the whole.
  await fails(
    brokenOnce(200_000, partial(0, size - 1, size)),
    'REGISTRY_FAILED',
    /asked for bytes from 200000, got bytes 0-/,
  );
  await fails(
    brokenOnce(200_000, partial(200_001, size - 1, size)),
    'REGISTRY_FAILED',
    /got bytes 200001-/,
  );
  await fails(
    brokenOnce(200_000, partial(200_000, size - 2, size)),
    'REGISTRY_FAILED',
    /got bytes/,
  );
  await fails(
    brokenOnce(200_000, partial(200_000, size - 1, size + 1)),
    'REGISTRY_FAILED',
    /got bytes/,
  );
  await fails(brokenOnce(200_000, partial(200_000, size - 1, '*')), 'REGISTRY_FAILED', /got bytes/);
  const bare: Fault = ({ bytes }, response) => {
    response.writeHead(206).end(bytes.subarray(200_000));
    return true;
  };
  await fails(brokenOnce(200_000, bare), 'REGISTRY_FAILED', /no Content-Range/);
  // Right headers over the bytes beside them: only the digest tells.
  const shifted = brokenOnce(200_000, partial(200_000, size - 1, size, -1));
  await fails(shifted, 'DIGEST_MISMATCH');
  // 206 without having been asked for a range, and 416 for one that exists.
  const unasked: Fault = ({ bytes }, response) => {
    response.writeHead(206, { 'content-range': `bytes 0-9/${size}` }).end(bytes.subarray(0, 10));
    return true;
  };
  await fails(unasked, 'REGISTRY_FAILED', /status 206/);
  const never: Fault = (_, response) => {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end();
    return true;
  };
  await fails(brokenOnce(200_000, never), 'REGISTRY_FAILED', /refused the range from 200000/);
});

test('a byte a second counts as gone; a slow line does not', async (t) => {
  const { layer, pull, fails } = await setUp(t);
  const drip =
    (pieceBytes: number, everyMs: number): Fault =>
    (asked, response) => {
      const from = asked.from ?? 0;
      const body = asked.bytes.subarray(from);
      const range = { 'content-range': `bytes ${from}-${layer.size - 1}/${layer.size}` };
      response.writeHead(asked.from === null ? 200 : 206, asked.from === null ? {} : range);
      let sent = 0;
      const timer = setInterval(() => {
        response.write(body.subarray(sent, sent + pieceBytes));
        sent += pieceBytes;
        if (sent >= body.length) response.end();
      }, everyMs);
      response.on('close', () => clearInterval(timer));
      return true;
    };
  await fails(drip(1, 40), 'REGISTRY_FAILED', /under 128 bytes a second; gave up after 4 tries/);
  // One bad connection, and a good one for the rest.
  const starts = await pull(
    (asked, response) => asked.count % 4 === 1 && drip(1, 40)(asked, response),
  );
  assert.ok(starts.length >= 2 && starts.at(-1) !== 0, String(starts));
  // Mutation: without the floor it is waited for, until whoever asked gives up.
  const stall = { minBytesPerSecond: 0, windowMs: 150 };
  const patience = { stall, signal: AbortSignal.timeout(1000) };
  await assert.rejects(pull(drip(1, 40), patience), { name: 'TimeoutError' });
  // Slow and alive is never cut: one connection.
  assert.deepEqual(await pull(drip(8000, 25)), [0]);
});

test('resets that let nothing much through end; each that does is forgiven', async (t) => {
  const { shop, node, registry } = await setUp(t);
  const large = { files: [{ name: 'usr/large', body: noise(2_000_000, 'large') }] };
  const { ref, layers } = await craft(shop, { name: 'large', layers: [large] });
  const everyBytes =
    (bytes: number): Fault =>
    (asked, response) => {
      if (asked.reference !== layers[0]?.digest) return false;
      if (asked.bytes.length - (asked.from ?? 0) <= bytes) return false;
      cutAfter(bytes, asked, response);
      return true;
    };
  registry.fault = everyBytes(1000);
  await refused(node.pull(ref, hastySource(registry.origin)), 'REGISTRY_FAILED', /after 4 tries/);
  registry.fault = everyBytes(270_000);
  assert.equal((await node.pull(ref, hastySource(registry.origin))).image, ref.image);
});
