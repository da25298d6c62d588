// `REPOSITORY[:TAG|@DIGEST]` on the coordinator's own registry. Parses; asks nobody.

import { REPOSITORY, TAG } from '#shared/artifact/oci/reference.ts';
import { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';

export interface LocalReference {
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
}

/** Throws ARGUMENT_INVALID. Without a tag it is `latest`, as everywhere else. */
export function parseLocalReference(text: string, what: string): LocalReference {
  const at = text.indexOf('@');
  const colon = at < 0 ? text.indexOf(':') : at;
  const repository = colon < 0 ? text : text.slice(0, colon);
  const reference = colon < 0 ? 'latest' : text.slice(colon + 1);
  const fits = at < 0 ? TAG.test(reference) : Digest.safeParse(reference).success;
  if (REPOSITORY.test(repository) && repository.length <= 255 && fits)
    return { repository, reference };
  throw new BilletError(
    'ARGUMENT_INVALID',
    `${what} ${JSON.stringify(text)} is not REPOSITORY[:TAG] or REPOSITORY@sha256:…`,
    { hint: 'name a repository of the coordinator, without a host: base:stable' },
  );
}
