// Pushing to registries that lose replies, parts and uploads. Each fake answers as distribution-spec v1.1,
// "Pushing a blob in chunks" and "Pushing Manifests with Subject", has it.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { MEDIA } from './media-types.ts';
import { referrersTag } from './reference.ts';
import { fakeServer, hastyClient } from './testing.ts';

const BYTES = randomBytes(1000);
const LAYER = { mediaType: MEDIA.layerTar, digest: sha256(BYTES), size: BYTES.length };
const LOCATION = '/v2/r/blobs/uploads/1';
const content = async function* () {
  yield BYTES;
};

type Fault = (
  request: IncomingMessage,
  response: ServerResponse,
  state: { upload: Buffer | null; blob: Buffer | null },
) => boolean;

/** A registry of one upload at a time. `fault` answers first, and says whether it did. */
async function oneUpload(t: Parameters<typeof fakeServer>[0], fault: Fault) {
  const state: Parameters<Fault>[2] = { upload: null, blob: null };
  const fake = await fakeServer(t, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (fault(request, response, state)) return;
    const progress = () => ({
      location: LOCATION,
      range: `0-${Math.max((state.upload?.length ?? 0) - 1, 0)}`,
    });
    const reply = (status: number, headers = {}) => response.writeHead(status, headers).end();
    if (request.method === 'HEAD') return reply(state.blob === null ? 404 : 200);
    if (request.method === 'POST') {
      state.upload = Buffer.alloc(0);
      return reply(202, progress());
    }
    if (state.upload === null) return reply(404);
    if (request.method === 'GET') return reply(204, progress());
    const first = Number(/^\d+/.exec(request.headers['content-range'] ?? '0')?.[0]);
    if (request.method === 'PATCH' && first !== state.upload.length) return reply(416, progress());
    state.upload = Buffer.concat([state.upload, body]);
    if (request.method === 'PATCH') return reply(202, progress());
    [state.blob, state.upload] = [state.upload, null];
    return reply(201);
  });
  return { ...fake, state };
}

const once = (matches: (request: IncomingMessage) => boolean, act: Fault): Fault => {
  let done = false;
  return (request, response, state) => {
    if (done || !matches(request)) return false;
    done = true;
    return act(request, response, state);
  };
};
const push = (origin: string, chunkBytes: number) =>
  hastyClient(origin, { chunkBytes }).putBlob(LAYER, content);

for (const [what, fault] of [
  [
    'a part that arrived though its reply was lost is not sent again',
    once(
      ({ method, headers }) => method === 'PATCH' && headers['content-range'] === '400-799',
      (request, _response, state) => {
        state.upload = BYTES.subarray(0, 800);
        request.socket.destroy();
        return true;
      },
    ),
  ],
  [
    'a part that arrived in half (416 says so) goes on where the registry is',
    once(
      ({ method, headers }) => method === 'PATCH' && headers['content-range'] === '400-799',
      (_request, response, state) => {
        state.upload = BYTES.subarray(0, 500);
        response.writeHead(416, { location: LOCATION, range: '0-499' }).end();
        return true;
      },
    ),
  ],
  [
    'an upload that the registry has lost is started again',
    once(
      ({ method, headers }) => method === 'PATCH' && headers['content-range'] === '800-999',
      (_request, response, state) => {
        state.upload = null;
        response.writeHead(404).end();
        return true;
      },
    ),
  ],
  [
    'an upload whose earlier parts are gone is started again',
    once(
      ({ method, headers }) => method === 'PATCH' && headers['content-range'] === '800-999',
      (request, _response, state) => {
        state.upload = BYTES.subarray(0, 100);
        request.socket.destroy();
        return true;
      },
    ),
  ],
  [
    'a blob that appeared though the last reply was lost is there',
    once(
      ({ method }) => method === 'PUT',
      (request, _response, state) => {
        [state.blob, state.upload] = [state.upload, null];
        request.socket.destroy();
        return true;
      },
    ),
  ],
] as const satisfies readonly (readonly [string, Fault])[])
  test(what, async (t) => {
    const { origin, state } = await oneUpload(t, fault);
    await push(origin, 400);
    assert.deepEqual(state.blob, BYTES);
  });

test('a push that a token no longer covers sends its whole content again', async (t) => {
  const challenge = once(
    ({ method }) => method === 'PUT',
    (request, response) => {
      const realm = `http://${request.headers.host}/token`;
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
      return true;
    },
  );
  const { origin, state } = await oneUpload(t, (request, response, upload) => {
    if (!request.url?.startsWith('/token')) return challenge(request, response, upload);
    response.end('{"token":"t"}');
    return true;
  });
  await push(origin, 0);
  assert.deepEqual(state.blob, BYTES);
});

test('a registry that loses every upload is REGISTRY_FAILED in the end, and has nothing', async (t) => {
  const { origin, state } = await oneUpload(t, ({ method }, response) => {
    if (method !== 'PATCH') return false;
    response.writeHead(404).end();
    return true;
  });
  await assert.rejects(
    push(origin, 400),
    (error) =>
      error instanceof BilletError &&
      error.code === 'REGISTRY_FAILED' &&
      /lost the upload/.test(error.message) &&
      error.hint !== '',
  );
  assert.equal(state.blob, null);
});

test('two clients that write the fallback tag at once: the one that is overwritten writes again', async (t) => {
  const subject = { mediaType: MEDIA.manifest, digest: sha256('image'), size: 5 };
  const other = {
    mediaType: MEDIA.manifest,
    digest: sha256('other'),
    size: 5,
    artifactType: 'a/b',
  };
  const index = (manifests: unknown[]) =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests }));
  const tag = referrersTag(subject.digest);
  const manifests = new Map<string, Buffer>();
  let overwritten = 0;
  const { origin } = await fakeServer(t, async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const reference = request.url?.split('/manifests/')[1] ?? '';
    if (request.method === 'PUT') {
      manifests.set(reference, Buffer.concat(chunks));
      if (reference === tag && overwritten === 0) {
        overwritten += 1;
        manifests.set(tag, index([other]));
      }
      return response.writeHead(201).end();
    }
    const found = manifests.get(reference);
    if (found === undefined) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': MEDIA.index }).end(found);
  });
  const config = { mediaType: MEDIA.empty, digest: sha256('{}'), size: 2 };
  const artifact = { schemaVersion: 2, artifactType: 'a/c', config, layers: [], subject };
  const client = hastyClient(origin);
  await client.putManifest(Buffer.from(JSON.stringify(artifact)), MEDIA.manifest);
  const listed = await client.referrers(subject.digest);
  assert.deepEqual(listed.map(({ artifactType }) => artifactType).sort(), ['a/b', 'a/c']);
});
