// Endpoints of blobs and of their uploads: end-2, end-4a/b, end-5, end-6, end-10, end-11, end-13 of
// the distribution specification. Returns answers; sends nothing.

import type { IncomingMessage } from 'node:http';
import { REPOSITORY } from '#shared/artifact/oci/reference.ts';
import { Digest } from '#shared/digest.ts';
import { type Answer, refuse } from './answer.ts';
import type { Repositories } from './repositories.ts';
import type { AppendResult, Uploads } from './uploads.ts';

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

export async function deleteBlob(store: BlobStore, name: string, digest: Digest): Promise<Answer> {
  const layout = await store.repositories.find(name);
  const listed = (await layout?.resolve(digest)) ?? null;
  if (listed !== null) return refuse('UNSUPPORTED', 'it is a manifest: delete it as one');
  const removed = (await layout?.removeBlob(digest)) ?? false;
  return removed ? { status: 202 } : unknownBlob(digest);
}

/** POST uploads/: a mount, a whole blob in one request, or a new session. */
export async function beginUpload(
  store: BlobStore,
  name: string,
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<Answer> {
  const mount = Digest.safeParse(query.get('mount'));
  const from = query.get('from') ?? '';
  if (mount.success && REPOSITORY.test(from)) {
    const source = await store.repositories.find(from);
    const layout = await store.repositories.findOrCreate(name);
    if (source !== null && (await layout.linkBlob(mount.data, source)))
      return created(name, mount.data);
  }
  const id = await store.uploads.begin(name);
  if (query.has('digest')) return await finishUpload(store, name, id, request, query);
  return accepted(name, id, 0, 202);
}

/** GET: how much has arrived. */
export async function uploadStatus(store: BlobStore, name: string, id: string): Promise<Answer> {
  const sizeBytes = await store.uploads.size(name, id);
  return sizeBytes === null ? unknownUpload() : accepted(name, id, sizeBytes, 204);
}

export async function cancelUpload(store: BlobStore, name: string, id: string): Promise<Answer> {
  if ((await store.uploads.size(name, id)) === null) return unknownUpload();
  await store.uploads.cancel(name, id);
  return { status: 204 };
}

/** PATCH: the next part. With Content-Range it has to begin where the last one ended. */
export async function appendUpload(
  store: BlobStore,
  name: string,
  id: string,
  request: IncomingMessage,
): Promise<Answer> {
  const result = await append(store, name, id, request);
  return 'status' in result ? result : accepted(name, id, result.sizeBytes, 202);
}

/** PUT ?digest=: the last part, if any, and then the blob appears, if it is the right one. */
export async function finishUpload(
  store: BlobStore,
  name: string,
  id: string,
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<Answer> {
  const wanted = Digest.safeParse(query.get('digest'));
  if (!wanted.success) return refuse('DIGEST_INVALID', 'digest= has to be a sha256 digest');
  const result = await append(store, name, id, request);
  if ('status' in result) return result;
  const actual = await store.uploads.digest(name, id);
  if (actual !== wanted.data) {
    await store.uploads.cancel(name, id);
    return refuse('DIGEST_INVALID', `the content is ${actual}, not ${wanted.data}`);
  }
  const layout = await store.repositories.findOrCreate(name);
  await layout.adoptBlob(actual, store.uploads.path(name, id));
  await store.uploads.cancel(name, id);
  return created(name, actual);
}

async function append(
  store: BlobStore,
  name: string,
  id: string,
  request: IncomingMessage,
): Promise<Answer | AppendResult> {
  const before = await store.uploads.size(name, id);
  if (before === null) return unknownUpload();
  const range = request.headers['content-range'];
  if (range !== undefined && !fits(range, before, request.headers['content-length']))
    return {
      ...refuse('BLOB_UPLOAD_INVALID', `${before} bytes are here`),
      ...status(name, id, before, 416),
    };
  const result = await store.uploads.append(name, id, request);
  switch (result.kind) {
    case 'ok':
      return result;
    case 'cut':
      return refuse('SIZE_INVALID', 'the body ended too early', { status: 400 });
    case 'busy':
      return refuse('BLOB_UPLOAD_INVALID', 'another request writes to it', { status: 409 });
    case 'too-large':
      await store.uploads.cancel(name, id);
      return refuse('SIZE_INVALID', 'over the size limit of this registry');
    case 'unknown':
      return unknownUpload();
  }
}

/** Content-Range of an upload is `first-last`, with an optional `bytes ` before and `/total` after. */
function fits(range: string, startBytes: number, length: string | undefined): boolean {
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(range);
  if (match === null) return false;
  const [first, last] = [Number(match[1]), Number(match[2])];
  return first === startBytes && (length === undefined || Number(length) === last - first + 1);
}

function accepted(name: string, id: string, sizeBytes: number, code: number): Answer {
  return status(name, id, sizeBytes, code);
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

const unknownBlob = (digest: Digest) => refuse('BLOB_UNKNOWN', `no blob ${digest} here`);
const unknownUpload = () => refuse('BLOB_UPLOAD_UNKNOWN', 'no such upload');
