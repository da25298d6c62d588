// How people name artifacts: `host[:port]/repository[:tag][@digest]`, or `oci:DIR[:tag]` for a
// layout on disk. Parses text; touches neither disk nor network.

import { Digest } from '../../digest.ts';
import { BilletError } from '../../errors.ts';

/** distribution-spec v1.1, "Pulling manifests". */
export const REPOSITORY =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
export const TAG = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;
const HOST = /^(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::\d{1,5})?$/;

export interface RegistryReference {
  readonly kind: 'registry';
  /** `host[:port]` */
  readonly host: string;
  readonly repository: string;
  readonly tag: string | null;
  readonly digest: Digest | null;
}

export interface LayoutReference {
  readonly kind: 'layout';
  readonly dir: string;
  readonly tag: string | null;
}

export type Reference = RegistryReference | LayoutReference;

/** Throws ARGUMENT_INVALID. A text that starts with `oci:`, `/` or `.` is a layout. */
export function parseReference(text: string): Reference {
  return /^(?:oci:|\/|\.)/.test(text) ? parseLayoutReference(text) : parseRegistryReference(text);
}

/** `[oci:]DIR[:tag]` */
export function parseLayoutReference(text: string): LayoutReference {
  const rest = text.startsWith('oci:') ? text.slice('oci:'.length) : text;
  const colon = rest.lastIndexOf(':');
  const tag = colon > 0 ? rest.slice(colon + 1) : '';
  const isTag = TAG.test(tag);
  const dir = isTag ? rest.slice(0, colon) : rest;
  if (dir === '' || dir.includes('\0') || (colon > 0 && !isTag && !tag.includes('/')))
    throw invalid(text, 'oci:DIR[:tag]');
  return { kind: 'layout', dir, tag: isTag ? tag : null };
}

/** `host[:port]/repository[:tag][@digest]` */
export function parseRegistryReference(text: string): RegistryReference {
  const [named = '', ...digests] = text.split('@');
  const slash = named.indexOf('/');
  const host = named.slice(0, Math.max(slash, 0));
  const [repository = '', ...tags] = named.slice(slash + 1).split(':');
  const digest = digests[0] === undefined ? null : Digest.safeParse(digests[0]);
  const wellFormed =
    HOST.test(host) &&
    repository.length <= 255 &&
    REPOSITORY.test(repository) &&
    tags.length <= 1 &&
    tags.every((tag) => TAG.test(tag)) &&
    digests.length <= 1 &&
    digest?.success !== false;
  if (!wellFormed) throw invalid(text, 'host[:port]/repository[:tag][@sha256:…]');
  return { kind: 'registry', host, repository, tag: tags[0] ?? null, digest: digest?.data ?? null };
}

/** The tag that stands for "the referrers of `digest`" where there is no referrers API. */
export const referrersTag = (digest: Digest): string => digest.replace(':', '-');

function invalid(text: string, form: string): BilletError {
  return new BilletError('ARGUMENT_INVALID', `cannot read ${JSON.stringify(text)} as ${form}`, {
    hint: 'name a layout as oci:DIR:TAG, an image in a registry as host/repository:tag',
  });
}
