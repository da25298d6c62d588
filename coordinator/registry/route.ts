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
  | { readonly kind: 'invalid'; readonly code: RegistryCode; readonly message: string };

/** Codes of the specification that this registry uses. */
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
  | 'UNSUPPORTED';

/** A repository is a directory: its name, with / as +, has to fit a file name. */
const NAME_MAX = 200;
const UPLOAD_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const RESOURCE = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/(.*)$/;

/** Null for a path outside /v2/. */
export function routeOf(path: string): RegistryRoute | null {
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' };
  if (!path.startsWith('/v2/')) return null;
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const uploads = /^\/v2\/(.+)\/blobs\/uploads\/?([^/]*)$/.exec(path);
  const [, name = '', kind, rest = ''] = uploads
    ? ['', uploads[1], 'uploads', uploads[2]]
    : (RESOURCE.exec(path) ?? []);
  if (kind === undefined) return invalid('UNSUPPORTED', 'no such endpoint');
  if (name.length > NAME_MAX || !REPOSITORY.test(name))
    return invalid('NAME_INVALID', 'not a repository name');
  switch (kind) {
    case 'uploads':
      if (rest === '') return { kind, name };
      return UPLOAD_ID.test(rest)
        ? { kind: 'upload', name, id: rest }
        : invalid('BLOB_UPLOAD_UNKNOWN', 'no such upload');
    case 'tags':
      return rest === 'list' ? { kind, name } : invalid('UNSUPPORTED', 'no such endpoint');
    case 'manifests':
      return TAG.test(rest) || Digest.safeParse(rest).success
        ? { kind: 'manifest', name, reference: rest }
        : invalid('MANIFEST_UNKNOWN', 'neither a tag nor a sha256 digest');
    default: {
      const digest = Digest.safeParse(rest);
      if (!digest.success) return invalid('DIGEST_INVALID', 'not a sha256 digest');
      return { kind: kind === 'blobs' ? 'blob' : 'referrers', name, digest: digest.data };
    }
  }
}

const invalid = (code: RegistryCode, message: string): RegistryRoute => ({
  kind: 'invalid',
  code,
  message,
});
