// A repository of an OCI registry (distribution-spec v1.1) as a source and target of artifacts.
// Talks to one origin; what it downloads it verifies; nothing is kept.

import { Agent, type Dispatcher } from 'undici';
import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { Digest, sha256 } from '../../digest.ts';
import { BilletError } from '../../errors.ts';
import { type Backoff, REGISTRY_BACKOFF } from './backoff.ts';
import { MANIFEST_ACCEPT } from './media-types.ts';
import { REPOSITORY, TAG } from './reference.ts';
import type { Credentials } from './registry-auth.ts';
import { streamBlob } from './registry-blob.ts';
import { failed } from './registry-error.ts';
import { pushBlob, pushManifest } from './registry-push.ts';
import { nextPage, type ReferrersClient, referrersOf } from './registry-referrers.ts';
import { type Ask, bodyOf, drop, jsonOf, type Requester, requester } from './registry-request.ts';
import type { RetryNews } from './registry-retry.ts';
import { STALL_LIMIT, type StallLimit } from './registry-stall.ts';
import type { PushTarget } from './registry-upload.ts';
import { MANIFEST_LIMIT_BYTES } from './schema.ts';
import type { ArtifactTarget, ManifestContent } from './source.ts';

const MAX_PAGES = 1000;
const TagList = z.object({ tags: z.array(z.string().regex(TAG)).nullish() });

export interface RegistryOptions {
  /** `https://host[:port]`, or `http://…` for loopback and tests. */
  readonly origin: string;
  readonly repository: string;
  /** Trusted CAs and the client certificate live here. Default: the system's CAs, no certificate. */
  readonly dispatcher?: Dispatcher | undefined;
  /** For redirects to other origins. Default: undici's global one. */
  readonly foreignDispatcher?: Dispatcher | undefined;
  readonly credentials?: Credentials | undefined;
  readonly clock: Clock;
  /** [0, 1): `Math.random`, or a fixed one in tests. */
  readonly random: () => number;
  readonly backoff?: Backoff;
  /** Told of each failure that is tried again. */
  readonly onRetry?: (news: RetryNews) => void;
  readonly stall?: StallLimit;
  /** A request without an answer for this long is tried again. */
  readonly timeoutMs?: number;
  /** Ends requests that have no signal of their own. */
  readonly signal?: AbortSignal | undefined;
  /** Pushes blobs in parts of this size, each of which can be sent again; 0: in one piece. */
  readonly chunkBytes?: number;
}

export interface Registry extends ArtifactTarget {
  readonly repository: string;
  /** Is there a registry, and do the credentials hold? Throws REGISTRY_FAILED or REGISTRY_DENIED. */
  ping(): Promise<void>;
}

/** Opens no connection yet. Throws ARGUMENT_INVALID for a name that is no repository. */
export function openRegistry(options: RegistryOptions): Registry {
  const { repository, signal } = options;
  if (!REPOSITORY.test(repository))
    throw new BilletError(
      'ARGUMENT_INVALID',
      `${JSON.stringify(repository)} is no repository name`,
      {
        hint: 'use lower-case letters, digits and single ., _ or - between them; parts are set apart by /',
      },
    );
  const http: Requester = requester({
    origin: options.origin,
    dispatcher: options.dispatcher ?? new Agent(),
    foreignDispatcher: options.foreignDispatcher,
    credentials: options.credentials,
    clock: options.clock,
    random: options.random,
    backoff: options.backoff ?? REGISTRY_BACKOFF,
    onRetry: options.onRetry,
    timeoutMs: options.timeoutMs ?? 30_000,
    stall: options.stall ?? STALL_LIMIT,
  });
  const base = `/v2/${repository}`;
  const name = `${new URL(options.origin).host}/${repository}`;
  const pull = `repository:${repository}:pull`;
  const target: PushTarget = { http, base, name, scope: `${pull},push`, signal };

  const ask = (method: 'GET' | 'HEAD', path: string, expect: number[], accept?: string): Ask => ({
    method,
    url: path,
    scope: pull,
    expect,
    what: `${method} ${path} from ${http.connection.origin}`,
    signal,
    ...(accept === undefined ? {} : { headers: { accept } }),
  });

  const fetchManifest = (reference: string): Promise<ManifestContent | null> => {
    const asked = ask(
      'GET',
      `${base}/manifests/${checkedReference(reference)}`,
      [200, 404],
      MANIFEST_ACCEPT,
    );
    return http.retry(async () => {
      const reply = await http.once(asked);
      const bytes = await bodyOf(reply, asked.what, MANIFEST_LIMIT_BYTES);
      return reply.status === 404 ? null : contentOf(reference, reply.headers, bytes, asked.what);
    }, signal);
  };

  const referrers: ReferrersClient = {
    http,
    ask: (path) => ask('GET', path, [200, 404, 400, 405], undefined),
    base,
    manifest: fetchManifest,
  };

  const registry: Registry = {
    name,
    repository,

    async ping() {
      const asked = { ...ask('GET', '/v2/', [200]), scope: '' };
      await drop(await http.retry(() => http.once(asked), signal));
    },

    async resolve(reference) {
      const content = await fetchManifest(reference);
      if (content === null) return null;
      return { mediaType: content.mediaType, digest: content.digest, size: content.bytes.length };
    },

    async manifest(reference) {
      const content = await fetchManifest(reference);
      if (content !== null) return content;
      throw new BilletError('NOT_FOUND', `${name} has no ${reference}`, {
        hint: 'check repository, tag and digest; push the image first',
        details: { repository: name, reference },
      });
    },

    blob: (descriptor, blobOptions) =>
      streamBlob(
        http,
        {
          url: `${base}/blobs/${descriptor.digest}`,
          scope: pull,
          what: `GET ${base}/blobs/${descriptor.digest} from ${http.connection.origin}`,
        },
        descriptor,
        { ...blobOptions, signal: blobOptions?.signal ?? signal },
      ),

    referrers: (digest, artifactType) => referrersOf(referrers, digest, artifactType),

    async tags() {
      const tags: string[] = [];
      let next: string | null = `${base}/tags/list`;
      for (let page = 0; next !== null && page < MAX_PAGES; page += 1) {
        const asked: Ask = ask('GET', next, [200, 404]);
        const { reply, json } = await http.retry(async () => {
          const answer = await http.once(asked);
          return { reply: answer, json: await jsonOf(answer, asked.what) };
        }, signal);
        if (reply.status === 404) return [];
        const list = TagList.safeParse(json);
        if (!list.success) throw failed(`${asked.what}: not a list of tags`);
        tags.push(...(list.data.tags ?? []));
        next = nextPage(reply.headers.get('link'), reply.url);
      }
      return tags;
    },

    async hasBlob(digest) {
      const asked = ask('HEAD', `${base}/blobs/${digest}`, [200, 404]);
      const reply = await http.retry(() => http.once(asked), signal);
      await drop(reply);
      return reply.status === 200;
    },

    async putBlob(descriptor, content, blobOptions) {
      if (await registry.hasBlob(descriptor.digest)) return;
      await pushBlob(target, descriptor, content, options.chunkBytes ?? 0, blobOptions);
    },

    putManifest: (bytes, mediaType, tag) => pushManifest(target, referrers, bytes, mediaType, tag),
  };
  return registry;
}

function contentOf(
  reference: string,
  headers: Headers,
  bytes: Buffer,
  what: string,
): ManifestContent {
  const digest = sha256(bytes);
  const claimed = [Digest.safeParse(reference).data, headers.get('docker-content-digest')];
  const wrong = claimed.find((each) => each?.startsWith('sha256:') && each !== digest);
  if (wrong != null)
    throw new BilletError(
      'DIGEST_MISMATCH',
      `${what}: the manifest is ${digest}, expected ${wrong}`,
      {
        hint: 'pull it again; if it stays so, push the image again',
        details: { expected: wrong, actual: digest },
      },
    );
  const mediaType = headers.get('content-type')?.split(';')[0]?.trim() ?? '';
  return { bytes, digest, mediaType };
}

function checkedReference(reference: string): string {
  if (TAG.test(reference) || Digest.safeParse(reference).success) return reference;
  throw new BilletError(
    'ARGUMENT_INVALID',
    `${JSON.stringify(reference)} is neither tag nor digest`,
    {
      hint: 'a tag has letters, digits, ., _ and - (at most 128); a digest is sha256:…',
    },
  );
}
