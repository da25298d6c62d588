import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { sha256 } from '../../digest.ts';
import { BilletError, type Code } from '../../errors.ts';
import { MEDIA } from './media-types.ts';
import type { Registry } from './registry.ts';
import type { Descriptor } from './schema.ts';
import { readBlob } from './source.ts';
import { fakeServer, hastyClient } from './testing.ts';

const BLOB = randomBytes(3_000_000);
const LAYER: Descriptor = { mediaType: MEDIA.layerTar, digest: sha256(BLOB), size: BLOB.length };
const PATH = `GET /v2/r/blobs/${LAYER.digest}`;

const pull = (registry: Registry) => readBlob(registry, LAYER, LAYER.size);
const startOf = (range: string | undefined) => Number(/bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0);

function partial(response: ServerResponse, start: number, bytes = BLOB): ServerResponse {
  const headers = {
    'content-length': bytes.length - start,
    'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
  };
  return response.writeHead(start > 0 ? 206 : 200, headers);
}

/** Sends some bytes, and hangs up when they are out. */
function sendAndCut(response: ServerResponse, bytes: Uint8Array): void {
  response.write(bytes, () => setTimeout(() => response.destroy(), 20));
}

const fails = (work: Promise<unknown>, code: Code, message = /./) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof BilletError, String(error));
    assert.deepEqual([error.code, message.test(error.message)], [code, true], error.message);
    return error.hint !== '';
  });

test('a transfer that is cut goes on where it was, as often as it makes progress', async (t) => {
  const starts: number[] = [];
  const { origin } = await fakeServer(t, (request, response) => {
    const start = startOf(request.headers.range);
    starts.push(start);
    partial(response, start);
    const end = Math.min(start + 1_000_000, BLOB.length);
    if (end === BLOB.length) response.end(BLOB.subarray(start, end));
    else sendAndCut(response, BLOB.subarray(start, end));
  });
  assert.deepEqual(await pull(hastyClient(origin)), BLOB);
  assert.equal(starts[0], 0);
  assert.ok(
    starts.length >= 3 && starts.every((start, i) => i === 0 || start > (starts[i - 1] ?? 0)),
    String(starts),
  );
});

test('a registry that is away for longer is waited for in mid-layer, and not before its beginning', async (t) => {
  const away = () =>
    fakeServer(t, (request, response, count) => {
      const start = startOf(request.headers.range);
      if (count === 1) sendAndCut(partial(response, start), BLOB.subarray(0, 1_500_000));
      else if (count < 8) response.destroy();
      else partial(response, start).end(BLOB.subarray(start));
    });
  const backoff = { attempts: 3, attemptsForRest: 9, baseMs: 4, capMs: 20 };
  const begun = await away();
  assert.deepEqual(await pull(hastyClient(begun.origin, { backoff })), BLOB);
  assert.equal(begun.asked.length, 8);
  // Without that patience it is given up, and what had come is lost.
  await fails(pull(hastyClient((await away()).origin)), 'REGISTRY_FAILED');
  const never = await fakeServer(t, (_request, response) => response.destroy());
  const told: number[] = [];
  const onRetry = ({ failure }: { readonly failure: number }) => told.push(failure);
  await fails(pull(hastyClient(never.origin, { backoff, onRetry })), 'REGISTRY_FAILED');
  assert.equal(never.asked.length, 3);
  assert.deepEqual(told, [1, 2], 'the last failure is the error itself');
});

test('a registry without ranges is read again from the start, and nothing comes twice', async (t) => {
  const { origin, asked } = await fakeServer(t, (_request, response, count) => {
    response.writeHead(200, { 'content-length': BLOB.length });
    if (count === 1) sendAndCut(response, BLOB.subarray(0, 1_500_000));
    else response.end(BLOB);
  });
  assert.deepEqual(await pull(hastyClient(origin)), BLOB);
  assert.equal(asked.length, 2);
});

test('another range than asked for is REGISTRY_FAILED', async (t) => {
  const { origin } = await fakeServer(t, (_request, response, count) => {
    if (count === 1) sendAndCut(partial(response, 0), BLOB.subarray(0, 1_500_000));
    else {
      const length = BLOB.length - 1_500_000;
      const range = `bytes 0-${length - 1}/${BLOB.length}`;
      response
        .writeHead(206, { 'content-range': range, 'content-length': length })
        .end(BLOB.subarray(0, length));
    }
  });
  await fails(pull(hastyClient(origin)), 'REGISTRY_FAILED');
});

test('a registry that slows to a trickle counts as gone, and the transfer goes on elsewhere', async (t) => {
  const { origin, asked } = await fakeServer(t, (request, response, count) => {
    const start = startOf(request.headers.range);
    partial(response, start);
    if (count > 1) return response.end(BLOB.subarray(start));
    response.write(BLOB.subarray(0, 1000));
    const drip = setInterval(() => response.write(Buffer.alloc(0)), 10);
    return response.on('close', () => clearInterval(drip));
  });
  assert.deepEqual(await pull(hastyClient(origin)), BLOB);
  assert.equal(asked.length, 2);
});

test('a flipped byte, a longer and a shorter blob are DIGEST_MISMATCH', async (t) => {
  const flipped = Buffer.from(BLOB);
  flipped[2_999_999] = (flipped[2_999_999] ?? 0) ^ 1;
  for (const bytes of [flipped, Buffer.concat([BLOB, Buffer.of(0)]), BLOB.subarray(1)]) {
    const { origin, asked } = await fakeServer(t, (_q, response) =>
      response.writeHead(200).end(bytes),
    );
    const short = bytes.length < BLOB.length;
    await fails(pull(hastyClient(origin)), short ? 'REGISTRY_FAILED' : 'DIGEST_MISMATCH');
    if (!short) assert.equal(asked.length, 1);
    const honest = await fakeServer(t, (_q, response) =>
      response.writeHead(200, { 'content-length': bytes.length }).end(bytes),
    );
    await fails(pull(hastyClient(honest.origin)), 'DIGEST_MISMATCH');
  }
});

test('a registry that answers 503 is tried again, then REGISTRY_FAILED; 404 is NOT_FOUND at once', async (t) => {
  const busy = await fakeServer(t, (_q, response, count) => {
    if (count < 3) response.writeHead(503).end();
    else response.end(BLOB);
  });
  assert.deepEqual(await pull(hastyClient(busy.origin)), BLOB);
  const down = await fakeServer(t, (_q, response) => response.writeHead(503).end());
  await fails(pull(hastyClient(down.origin)), 'REGISTRY_FAILED', /503/);
  assert.deepEqual(down.asked, [PATH, PATH, PATH]);
  const empty = await fakeServer(t, (_q, response) => response.writeHead(404).end());
  await fails(pull(hastyClient(empty.origin)), 'NOT_FOUND');
  assert.equal(empty.asked.length, 1);
});

test('an abort ends a transfer, and no request follows', async (t) => {
  const { origin, asked } = await fakeServer(t, (_q, response) => {
    partial(response, 0).write(BLOB.subarray(0, 1000));
  });
  const registry = hastyClient(origin, { stall: { minBytesPerSecond: 1, windowMs: 10_000 } });
  const read = async () => {
    for await (const chunk of registry.blob(LAYER, { signal: AbortSignal.timeout(100) }))
      assert.ok(chunk.length);
  };
  await assert.rejects(read(), { name: 'TimeoutError' });
  assert.equal(asked.length, 1);
});

test('a manifest that is not its digest, too large, or cut is refused', async (t) => {
  const bytes = Buffer.from('{"schemaVersion":2}');
  const { origin } = await fakeServer(t, (_q, response) =>
    response.writeHead(200, { 'content-type': MEDIA.manifest }).end(bytes),
  );
  await fails(hastyClient(origin).manifest(sha256('other')), 'DIGEST_MISMATCH');
  assert.equal((await hastyClient(origin).manifest('tag')).digest, sha256(bytes));
  const liar = await fakeServer(t, (_q, response) =>
    response.writeHead(200, { 'docker-content-digest': sha256('other') }).end(bytes),
  );
  await fails(hastyClient(liar.origin).manifest('tag'), 'DIGEST_MISMATCH');
  const endless = await fakeServer(t, (_q, response) =>
    response.end(Buffer.alloc(4 * 1024 * 1024 + 1)),
  );
  await fails(hastyClient(endless.origin).manifest('tag'), 'REGISTRY_FAILED', /over 4194304 bytes/);
});

test('control characters in the text of a registry reach nobody', async (t) => {
  const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'a\u001b[2Jb\n' }] });
  const { origin } = await fakeServer(t, (_q, response) => response.writeHead(403).end(body));
  await fails(hastyClient(origin).ping(), 'REGISTRY_DENIED', /\(DENIED a \[2Jb\)/);
});
