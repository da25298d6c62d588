// The name of an instance in its certificate: spiffe://<trust domain>/instance/<id> (SPIFFE-ID §2).
// Reads and writes the text only; who may bear it is for the certificate authority.

import { z } from 'zod';
import { InstanceId } from './schema/ids.ts';

/** SPIFFE-ID §2.1: lower-case letters, digits, dots, dashes and underscores, at most 255. */
export const TrustDomain = z
  .string()
  .regex(/^[a-z0-9._-]{1,255}$/, 'lower-case letters, digits, dots, dashes, underscores')
  .brand<'TrustDomain'>();
export type TrustDomain = z.infer<typeof TrustDomain>;

export interface SpiffeId {
  readonly trustDomain: TrustDomain;
  readonly instance: InstanceId;
}

export const instanceUri = ({ trustDomain, instance }: SpiffeId): string =>
  `spiffe://${trustDomain}/instance/${instance}`;

/** Null for anything but exactly what `instanceUri` writes. */
export function parseInstanceUri(uri: string): SpiffeId | null {
  const [, domain, id] = /^spiffe:\/\/([^/]+)\/instance\/([^/]+)$/.exec(uri) ?? [];
  const trustDomain = TrustDomain.safeParse(domain);
  const instance = InstanceId.safeParse(id);
  if (!trustDomain.success || !instance.success) return null;
  return { trustDomain: trustDomain.data, instance: instance.data };
}
