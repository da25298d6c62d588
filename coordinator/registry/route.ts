// Which endpoint of the distribution specification a URL names. Pure: looks at text only.
// Source: distribution-spec v1.1, "Endpoints" (end-1 to end-13).

import { REPOSITORY, TAG } from '#shared/artifact/oci/reference.ts';
import { Digest } from '#shared/digest.ts';

export type RegistryRoute =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: string }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'uploads'; readonly name: string }
  | { readonly kind: 'upload'; readonly name: string; readonly id: string }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest }
  | InvalidRoute;

export interface InvalidRoute {
  readonly kind: 'invalid';
  readonly code: RegistryCode;
  readonly message: string;
  /** What it said: a name, a reference, a path. */
  readonly detail: Readonly<Record<string, string>>;
}

/** Codes of the specification that this registry uses; UNKNOWN is the field's, for its own failures. */
export type RegistryCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'UNKNOWN'
  | 'UNSUPPORTED';

/** A repository is a directory: its name, with / as +, has to fit a file name. */
const NAME_MAX = 200;
const UPLOAD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const RESOURCE = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.*)$/s;

/** `path` as the client wrote it, percent-encoding and all. Null for one outside /v2/. */
export function routeOf(method: string, path: string): RegistryRoute | null {
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' };
  if (!path.startsWith('/v2/')) return null;
  const plain = decodedOrNull(path);
  if (plain === null) return invalid('NAME_INVALID', 'the path is not percent-encoded', { path });
  if (plain === '/v2/_catalog') return { kind: 'catalog' };
  const uploads = /^\/v2\/(.+)\/blobs\/uploads\/?([^/]*)$/s.exec(plain);
  const [, name = '', kind, rest = ''] = uploads
    ? ['', uploads[1], 'uploads', uploads[2]]
    : (RESOURCE.exec(plain) ?? []);
  if (kind === undefined || (kind === 'tags' && rest !== 'list'))
    return invalid('UNSUPPORTED', 'no such endpoint', { path: plain });
  if (!isRepository(name)) return invalid('NAME_INVALID', 'not a repository name', { name });
  switch (kind) {
    case 'uploads':
      if (rest === '') return { kind, name };
      return UPLOAD_ID.test(rest)
        ? { kind: 'upload', name, id: rest }
        : invalid('BLOB_UPLOAD_UNKNOWN', 'no such upload', { id: rest });
    case 'tags':
      return { kind, name };
    case 'manifests':
      if (TAG.test(rest) || Digest.safeParse(rest).success)
        return { kind: 'manifest', name, reference: rest };
      if (rest.includes(':')) return noDigest(rest);
      return invalid(
        method === 'PUT' ? 'MANIFEST_INVALID' : 'MANIFEST_UNKNOWN',
        'neither a tag nor a sha256 digest',
        { reference: rest },
      );
    default: {
      const digest = Digest.safeParse(rest);
      if (!digest.success) return noDigest(rest);
      return { kind: kind === 'blobs' ? 'blob' : 'referrers', name, digest: digest.data };
    }
  }
}

/** Whether it can name a repository here, and so a directory. */
export const isRepository = (name: string): boolean =>
  name.length <= NAME_MAX && REPOSITORY.test(name);

function decodedOrNull(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null; // the caller says so
  }
}

const noDigest = (digest: string) => invalid('DIGEST_INVALID', 'not a sha256 digest', { digest });

const invalid = (
  code: RegistryCode,
  message: string,
  detail: InvalidRoute['detail'],
): InvalidRoute => ({ kind: 'invalid', code, message, detail });
