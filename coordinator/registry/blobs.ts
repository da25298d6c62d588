// Endpoints of blobs and of their uploads: end-2, end-4a/b, end-5, end-6, end-10, end-11, end-13 of
// the distribution specification. Returns answers; sends nothing.

import type { IncomingMessage } from 'node:http';
import { REPOSITORY } from '#shared/artifact/oci/reference.ts';
import { Digest } from '#shared/digest.ts';
import { type Answer, refuse } from './answer.ts';
import { holdersOf } from './references.ts';
import type { Repositories } from './repositories.ts';
import type { Part, Uploads } from './uploads.ts';

export interface BlobStore {
  readonly repositories: Repositories;
  readonly uploads: Uploads;
}

const OCTETS = 'application/octet-stream';

export async function getBlob(store: BlobStore, name: string, digest: Digest): Promise<Answer> {
  const layout = await store.repositories.find(name);
  const sizeBytes = (await layout?.blobSize(digest)) ?? null;
  if (layout === null || sizeBytes === null) return unknownBlob(digest);
  return {
    status: 200,
    headers: {
      'content-type': OCTETS,
      'docker-content-digest': digest,
      etag: `"${digest}"`,
      'cache-control': 'max-age=31536000, immutable',
    },
    body: { path: layout.blobPath(digest), sizeBytes },
    ranges: true,
  };
}

/** What a manifest of the repository lists stays: a delete leaves no image without its parts. */
export async function deleteBlob(store: BlobStore, name: string, digest: Digest): Promise<Answer> {
  return await store.repositories.exclusive(name, async () => {
    const layout = await store.repositories.find(name);
    if (layout === null) return unknownBlob(digest);
    if ((await layout.resolve(digest)) !== null)
      return refuse('UNSUPPORTED', 'it is a manifest: delete it as one', { digest });
    const listedBy = await holdersOf(layout, digest);
    if (listedBy.length > 0)
      return refuse('UNSUPPORTED', `delete ${listedBy[0]} first, which lists it`, { listedBy });
    return (await layout.removeBlob(digest)) ? { status: 202 } : unknownBlob(digest);
  });
}

/** POST uploads/: a mount, a whole blob in one request, or a new session. */
export async function beginUpload(
  store: BlobStore,
  name: string,
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<Answer> {
  const mounted = await mount(store, name, query);
  if (mounted !== null) return mounted;
  if (!query.has('digest')) return status(name, await store.uploads.begin(name), 0, 202);
  const wanted = Digest.safeParse(query.get('digest'));
  if (!wanted.success) return noDigest(query);
  const id = await store.uploads.begin(name);
  const answer = await finishUpload(store, name, id, request, query);
  // Nobody was told of this session: what is not whole now will never be.
  if (answer.status !== 201) await store.uploads.remove(name, id);
  return answer;
}

/** The blob of another repository under this one's name, or null where it cannot be. */
async function mount(
  { repositories }: BlobStore,
  name: string,
  query: URLSearchParams,
): Promise<Answer | null> {
  const digest = Digest.safeParse(query.get('mount'));
  const from = query.get('from') ?? '';
  if (!digest.success || !REPOSITORY.test(from)) return null;
  const source = await repositories.find(from);
  if (source === null || !(await source.hasBlob(digest.data))) return null;
  const target = await repositories.findOrCreate(name);
  return (await target.linkBlob(digest.data, source)) ? created(name, digest.data) : null;
}

/** GET: how much has arrived. */
export async function uploadStatus(store: BlobStore, name: string, id: string): Promise<Answer> {
  const sizeBytes = await store.uploads.size(name, id);
  return sizeBytes === null ? unknownUpload(id) : status(name, id, sizeBytes, 204);
}

export async function cancelUpload(
  { uploads }: BlobStore,
  name: string,
  id: string,
): Promise<Answer> {
  return await uploads.takeOver(id, NEVER, async () => {
    if ((await uploads.size(name, id)) === null) return unknownUpload(id);
    await uploads.remove(name, id);
    return { status: 204 };
  });
}

/** PATCH: the next part. With Content-Range it has to begin where the last one ended. */
export async function appendUpload(
  { uploads }: BlobStore,
  name: string,
  id: string,
  request: IncomingMessage,
): Promise<Answer> {
  return await uploads.takeOver(
    id,
    () => request.destroy(),
    async () => {
      const { refused, sizeBytes } = await append(uploads, name, id, request);
      return refused ?? status(name, id, sizeBytes, 202);
    },
  );
}

/** PUT ?digest=: the last part, if any, and then the blob appears, if it is the right one. */
export async function finishUpload(
  { repositories, uploads }: BlobStore,
  name: string,
  id: string,
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<Answer> {
  const wanted = Digest.safeParse(query.get('digest'));
  if (!wanted.success) return noDigest(query);
  return await uploads.takeOver(
    id,
    () => request.destroy(),
    async () => {
      const { refused } = await append(uploads, name, id, request);
      if (refused !== null) return refused;
      const actual = await uploads.digest(name, id);
      const fits = actual === wanted.data;
      if (fits)
        await (await repositories.findOrCreate(name)).adoptBlob(actual, uploads.path(name, id));
      await uploads.remove(name, id);
      if (fits) return created(name, actual);
      return refuse('DIGEST_INVALID', `the content is ${actual}, not ${wanted.data}`, {
        expected: wanted.data,
        actual,
      });
    },
  );
}

/** For work that is over at once: it is waited for. */
const NEVER = () => {};

async function append(
  uploads: Uploads,
  name: string,
  id: string,
  request: IncomingMessage,
): Promise<{ readonly refused: Answer | null; readonly sizeBytes: number }> {
  const range = rangeOf(request.headers['content-range']);
  if (range === 'malformed')
    return { sizeBytes: 0, refused: refuse('BLOB_UPLOAD_INVALID', 'Content-Range is FIRST-LAST') };
  const { kind, sizeBytes } = await uploads.append(name, id, { chunks: request, range });
  const { headers } = status(name, id, sizeBytes, 0);
  const detail = { receivedBytes: sizeBytes };
  const refused = (): Answer | null => {
    switch (kind) {
      case 'ok':
        return null;
      case 'cut':
        return refuse('SIZE_INVALID', 'the body ended too early', detail, { status: 400 });
      case 'wrong-length':
        return refuse('SIZE_INVALID', 'another length than Content-Range', detail, { status: 400 });
      case 'misplaced':
        return refuse('BLOB_UPLOAD_INVALID', `go on at byte ${sizeBytes}`, detail, {
          status: 416,
          headers,
        });
      case 'too-large':
        return refuse('SIZE_INVALID', 'over the size limit of this registry', detail);
      case 'unknown':
        return unknownUpload(id);
    }
  };
  return { refused: refused(), sizeBytes };
}

/** Content-Range of an upload is `first-last`, with an optional `bytes ` before and `/total` after. */
function rangeOf(header: string | undefined): Part['range'] | 'malformed' {
  if (header === undefined) return null;
  const match = /^(?:bytes[ =])?(\d{1,15})-(\d{1,15})(?:\/(?:\d+|\*))?$/.exec(header.trim());
  const [first, last] = [Number(match?.[1]), Number(match?.[2])];
  return first <= last ? { first, last } : 'malformed';
}

/** `Range: 0-<last>`; an empty upload is `0-0`, as registries in the field write it. */
function status(name: string, id: string, sizeBytes: number, code: number) {
  return {
    status: code,
    headers: {
      location: `/v2/${name}/blobs/uploads/${id}`,
      range: `0-${Math.max(sizeBytes - 1, 0)}`,
      'docker-upload-uuid': id,
    },
  };
}

const created = (name: string, digest: Digest): Answer => ({
  status: 201,
  headers: { location: `/v2/${name}/blobs/${digest}`, 'docker-content-digest': digest },
});

const unknownBlob = (digest: Digest) =>
  refuse('BLOB_UNKNOWN', `no blob ${digest} here`, { digest });
const unknownUpload = (id: string) => refuse('BLOB_UPLOAD_UNKNOWN', 'no such upload', { id });
const noDigest = (query: URLSearchParams) =>
  refuse('DIGEST_INVALID', 'digest= has to be a sha256 digest', {
    digest: query.get('digest') ?? '',
  });
