// The registry as one request handler: /v2/… to an endpoint, errors to the specification's bodies.
// Who the caller is was decided before; here only whether the role suffices.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '#shared/clock.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type Answer, json, refuse, send } from './answer.ts';
import {
  appendUpload,
  type BlobStore,
  beginUpload,
  cancelUpload,
  deleteBlob,
  finishUpload,
  getBlob,
  uploadStatus,
} from './blobs.ts';
import {
  deleteManifest,
  getManifest,
  listReferrers,
  listRepositories,
  listTags,
  putManifest,
} from './manifests.ts';
import { openRepositories } from './repositories.ts';
import { isRepository, type RegistryRoute, routeOf } from './route.ts';
import { openUploads } from './uploads.ts';

export interface RegistryOptions {
  /** Directory of the registry; made if missing. */
  readonly root: string;
  readonly clock: Clock;
  /** The largest blob. Default 32 GiB. */
  readonly maxBlobBytes?: number;
  /** Told of what went wrong inside; the client gets a 500 without details. */
  readonly onError?: (error: unknown) => void;
}

export interface RegistryContext {
  /** `read` pulls; `write` pushes and deletes too. */
  readonly role: 'read' | 'write';
}

/** Resolves to false, with nothing sent, for a path outside /v2/. Never rejects. */
export type RegistryHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  context: RegistryContext,
) => Promise<boolean>;

export interface RegistryServer {
  readonly handle: RegistryHandler;
  /** Removes uploads that nobody continued for a day; returns how many. Call it now and then. */
  removeAbandonedUploads(): Promise<number>;
  /** Whether a blob or manifest is there; false for what is no repository of this registry. */
  holds(repository: string, digest: Digest): Promise<boolean>;
}

export async function openRegistryServer(options: RegistryOptions): Promise<RegistryServer> {
  const repositories = await openRepositories(options.root);
  const limitBytes = options.maxBlobBytes ?? 32 * 2 ** 30;
  const uploads = openUploads(repositories.uploadsDir, limitBytes, options.clock);
  const store: BlobStore = { repositories, uploads };

  return {
    removeAbandonedUploads: uploads.removeAbandoned,
    async holds(repository, digest) {
      if (!isRepository(repository)) return false;
      const layout = await repositories.find(repository);
      return layout !== null && (await layout.blobSize(digest)) !== null;
    },
    async handle(request, response, context) {
      const url = new URL(request.url ?? '/', 'http://registry.invalid');
      const route = routeOf(request.method ?? '', url.pathname);
      if (route === null) return false;
      const answer = await answerTo(store, route, request, url.searchParams, context).catch(
        (error: unknown) => failure(error, options.onError),
      );
      await send(request, response, answer).catch((error: unknown) => {
        options.onError?.(error);
        response.destroy();
      });
      return true;
    },
  };
}

async function answerTo(
  store: BlobStore,
  route: RegistryRoute,
  request: IncomingMessage,
  query: URLSearchParams,
  { role }: RegistryContext,
): Promise<Answer> {
  const { repositories } = store;
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
  if (method !== 'GET' && role !== 'write')
    return refuse('DENIED', 'this credential may only pull', { role, method });
  switch (route.kind) {
    case 'invalid':
      return refuse(
        route.code,
        route.message,
        route.detail,
        route.code === 'UNSUPPORTED' ? { status: 404 } : {},
      );
    case 'ping':
      if (method === 'GET') return { status: 200, ...json({}) };
      break;
    case 'catalog':
      if (method === 'GET') return await listRepositories(repositories, query);
      break;
    case 'manifest':
      if (method === 'GET') return await getManifest(repositories, route.name, route.reference);
      if (method === 'PUT')
        return await putManifest(repositories, route.name, route.reference, request);
      if (method === 'DELETE')
        return await deleteManifest(repositories, route.name, route.reference);
      break;
    case 'blob':
      if (method === 'GET') return await getBlob(store, route.name, route.digest);
      if (method === 'DELETE') return await deleteBlob(store, route.name, route.digest);
      break;
    case 'uploads':
      if (method === 'POST') return await beginUpload(store, route.name, request, query);
      break;
    case 'upload':
      return await answerToUpload(store, route.name, route.id, method, request, query);
    case 'tags':
      if (method === 'GET') return await listTags(repositories, route.name, query);
      break;
    case 'referrers':
      if (method === 'GET')
        return await listReferrers(repositories, route.name, route.digest, query);
      break;
  }
  return unsupported(method, route.kind);
}

async function answerToUpload(
  store: BlobStore,
  name: string,
  id: string,
  method: string,
  request: IncomingMessage,
  query: URLSearchParams,
): Promise<Answer> {
  if (method === 'GET') return await uploadStatus(store, name, id);
  if (method === 'PATCH') return await appendUpload(store, name, id, request);
  if (method === 'PUT') return await finishUpload(store, name, id, request, query);
  if (method === 'DELETE') return await cancelUpload(store, name, id);
  return unsupported(method, 'upload');
}

/** What each endpoint answers to, for `Allow` (RFC 9110 §15.5.6). */
const METHODS: Readonly<Record<Exclude<RegistryRoute['kind'], 'invalid'>, string>> = {
  blob: 'GET, HEAD, DELETE',
  catalog: 'GET, HEAD',
  manifest: 'GET, HEAD, PUT, DELETE',
  ping: 'GET, HEAD',
  referrers: 'GET, HEAD',
  tags: 'GET, HEAD',
  upload: 'GET, HEAD, PATCH, PUT, DELETE',
  uploads: 'POST',
};

const unsupported = (method: string, kind: keyof typeof METHODS) =>
  refuse('UNSUPPORTED', `${method} is not for this endpoint`, null, {
    headers: { allow: METHODS[kind] },
  });

/** A damaged manifest on disk, a full disk: the client learns that it failed, the log why. */
function failure(error: unknown, onError: RegistryOptions['onError']): Answer {
  onError?.(error);
  const full = error instanceof Error && 'code' in error && error.code === 'ENOSPC';
  if (full) return refuse('UNKNOWN', 'no space is left', null, { status: 507 });
  return refuse('UNKNOWN', error instanceof BilletError ? error.message : 'the registry failed');
}
