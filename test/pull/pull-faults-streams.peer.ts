// What a registry may send instead of a module: cut, endless, of another size, changed. Through the
// whole way of a pull: client, verification, unpacking, store, system image.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import type { Code } from '#shared/errors.ts';
import {
  type Crafted,
  craft,
  openShop,
  ordinary,
  type PullNode,
  pullNode,
  refused,
} from './pull-faults-module.ts';
import {
  type Asked,
  cutAfter,
  type Fault,
  faultyRegistry,
  hastySource,
  honest,
} from './pull-faults-registry.ts';

async function setUp(t: TestContext) {
  const shop = await openShop(t);
  const [node, app] = [await pullNode(t, shop), await craft(shop, { layers: [ordinary()] })];
  const registry = await faultyRegistry(t, shop.layout);
  const source = hastySource(registry.origin);
  /** Refused with a code and no trace of it; and the same store takes it from a right registry. */
  const refusedThenRight = async (fault: Fault, code: Code, message?: RegExp, module = app) => {
    registry.fault = fault;
    await refused(node.pull(module.ref, source), code, message);
    assert.deepEqual(await node.leftovers(), []);
    registry.fault = honest;
    await arrives(node, module);
    await node.store.collect({ modules: [], images: [] });
  };
  const arrives = async ({ pull, store }: PullNode, { ref }: Crafted) => {
    const pulled = await pull(ref, source);
    assert.equal((await store.composeSystem([pulled], null)).tree.root.children.size, 2);
  };
  return { shop, node, app, registry, source, refusedThenRight };
}

const isManifest = ({ kind, reference }: Asked, { ref }: Crafted) =>
  kind === 'manifest' && reference === ref.manifest;
const isLayer = ({ reference }: Asked, { layers }: Crafted) => reference === layers[0]?.digest;

/** Never ends: as many bytes as the client takes. */
function flood(response: Parameters<Fault>[1], first: Buffer): true {
  const more = Buffer.alloc(64 * 1024);
  const push = () => {
    while (!response.destroyed && response.write(more));
  };
  response.on('drain', push);
  response.write(first);
  push();
  return true;
}

test('a manifest that is cut is asked for again; one that is always cut is REGISTRY_FAILED', async (t) => {
  const { node, app, registry, source, refusedThenRight } = await setUp(t);
  // RFC 9112 §8: less than Content-Length, and a chunked body without its last chunk.
  const withLength: Fault = (asked, response) => {
    if (!isManifest(asked, app)) return false;
    cutAfter(100, asked, response);
    return true;
  };
  const chunked: Fault = (asked, response) => {
    if (!isManifest(asked, app)) return false;
    response.writeHead(200, { 'content-type': asked.mediaType });
    response.write(asked.bytes.subarray(0, 100), () => setTimeout(() => response.destroy(), 10));
    return true;
  };
  for (const fault of [withLength, chunked]) {
    await refusedThenRight(fault, 'REGISTRY_FAILED', /gave up after 4 tries/);
    registry.fault = (asked, response) => asked.count % 2 === 1 && fault(asked, response);
    assert.equal((await node.pull(app.ref, source)).image, app.ref.image);
    await node.store.collect({ modules: [], images: [] });
  }
  // A body that ends with its connection cannot be told from a whole one, but by its digest.
  const untilClose: Fault = (asked, response) => {
    if (!isManifest(asked, app)) return false;
    response.removeHeader('transfer-encoding');
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { 'content-type': asked.mediaType, connection: 'close' });
    response.end(asked.bytes.subarray(0, 100));
    return true;
  };
  await refusedThenRight(untilClose, 'DIGEST_MISMATCH');
});

test('an endless manifest ends at 4 MiB, and one that trickles at the floor', async (t) => {
  const { app, refusedThenRight } = await setUp(t);
  const endless: Fault = (asked, response) =>
    isManifest(asked, app) &&
    flood(response.writeHead(200, { 'content-type': asked.mediaType }), asked.bytes);
  await refusedThenRight(endless, 'REGISTRY_FAILED', /over 4194304 bytes/);
  const trickle: Fault = (asked, response) => {
    if (!isManifest(asked, app)) return false;
    response.writeHead(200, { 'content-type': asked.mediaType });
    const drip = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(drip));
    return true;
  };
  await refusedThenRight(trickle, 'REGISTRY_FAILED', /under 128 bytes a second/);
});

test('a layer that is always cut, never ends, or says another length leaves nothing', async (t) => {
  const { app, refusedThenRight } = await setUp(t);
  const layer =
    (answer: Fault): Fault =>
    (asked, response) =>
      isLayer(asked, app) && answer(asked, response);
  await refusedThenRight(
    layer((asked, response) => {
      cutAfter(0, asked, response);
      return true;
    }),
    'REGISTRY_FAILED',
    /gave up after 4 tries/,
  );
  await refusedThenRight(
    layer((asked, response) => flood(response.writeHead(200), asked.bytes)),
    'DIGEST_MISMATCH',
    /is longer than/,
  );
  await refusedThenRight(
    layer(({ bytes }, response) =>
      flood(response.writeHead(200, { 'content-length': 2 ** 40 }), bytes),
    ),
    'DIGEST_MISMATCH',
    /1099511627776 bytes, expected/,
  );
  // Whole and well-formed for HTTP, and short of what the manifest says: then 416 for the rest.
  await refusedThenRight(
    layer(({ bytes, from }, response) => {
      const short = bytes.subarray(0, bytes.length - 1000);
      if (from === null) response.writeHead(200).end(short);
      else response.writeHead(416, { 'content-range': `bytes */${short.length}` }).end();
      return true;
    }),
    'DIGEST_MISMATCH',
  );
});

test('a signed manifest that lies about the size of a layer is DIGEST_MISMATCH, larger or smaller', async (t) => {
  const { shop, node, source } = await setUp(t);
  for (const by of [-1, 1, -1000, 1000]) {
    const describe = (layer: Crafted['config']) => ({ ...layer, size: layer.size + by });
    const { ref } = await craft(shop, { layers: [{ ...ordinary(), describe }] });
    await refused(node.pull(ref, source), 'DIGEST_MISMATCH', /bytes, expected/);
    assert.deepEqual(await node.leftovers(), []);
  }
});

test('a manifest that changes between two reads is DIGEST_MISMATCH, and its tag decides nothing', async (t) => {
  const { shop, node, app, registry, source, refusedThenRight } = await setUp(t);
  const other = await craft(shop, { layers: [ordinary('other')] });
  const { bytes } = await shop.layout.manifest(other.ref.manifest);
  await refusedThenRight(
    (asked, response) => {
      if (!isManifest(asked, app)) return false;
      response.writeHead(200, { 'content-type': asked.mediaType }).end(bytes);
      return true;
    },
    'DIGEST_MISMATCH',
    /expected sha256/,
  );
  // cosign's tag is read, and then what it pointed at by digest: here another image's by then.
  const otherTag = `${other.ref.manifest.replace(':', '-')}.sig`;
  const otherSignature = (await shop.layout.manifest(otherTag)).bytes;
  const signature = await shop.layout.resolve(`${app.ref.manifest.replace(':', '-')}.sig`);
  await refusedThenRight((asked, response) => {
    if (asked.reference !== signature?.digest) return false;
    response.writeHead(200, { 'content-type': asked.mediaType }).end(otherSignature);
    return true;
  }, 'DIGEST_MISMATCH');
  // The tag itself points at the signature of another module: valid, and not for this one.
  await refusedThenRight(
    (asked, response) => {
      if (!asked.reference.endsWith('.sig')) return false;
      response.writeHead(200, { 'content-type': asked.mediaType }).end(otherSignature);
      return true;
    },
    'SIGNATURE_INVALID',
    /the signature is for sha256/,
  );
  registry.fault = honest;
  assert.equal((await node.pull(app.ref, source)).image, app.ref.image);
});

test('diff_ids decide nothing: the signed image digest covers what the layers unpack to', async (t) => {
  const { shop, node, source } = await setUp(t);
  // image-spec, config.md: diff_ids are digests of the tars. A node compares the tree instead, whose
  // digest is signed beside them; who seals an image compares both.
  const wrong = await craft(shop, { layers: [ordinary()], diffIds: [sha256('another tar')] });
  assert.equal((await node.pull(wrong.ref, source)).image, wrong.ref.image);
  // Another number of them than of layers is no module: it cannot even be signed.
  const fewer = craft(shop, { name: 'fewer', layers: [ordinary()], diffIds: [] });
  await refused(fewer, 'MODULE_INVALID', /lists 0 layers, the manifest 1/);
});
