// Who still depends on the CA that a rotation replaces: instances that hold a certificate of it which
// is good for a renewal, and were not yet seen with one of the CA that issues now. Reads only.

import { RENEW_GRACE_MS } from '#shared/certificate.ts';
import type { Digest } from '#shared/digest.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Certificate, Register } from './register.ts';

/**
 * Of one instance. That a certificate was issued proves nothing, for the reply may be lost: only one
 * that was seen in use, or the absence of every older one, ends the dependence.
 */
export function dependsOn(
  certificates: readonly Pick<Certificate, 'ca' | 'seen' | 'notAfter'>[],
  issuing: Digest,
  now: number,
): boolean {
  const moved = certificates.some(({ ca, seen }) => ca === issuing && seen);
  const standing = certificates.some(
    ({ ca, notAfter }) => ca !== issuing && notAfter + RENEW_GRACE_MS > now,
  );
  return standing && !moved;
}

/** Instances whose certificates say so, revoked ones left out; also such as have ended. */
export async function* dependents(options: {
  readonly register: Register;
  readonly issuing: Digest;
  readonly isRevoked: (certificate: Certificate) => boolean;
  readonly now: number;
}): AsyncGenerator<InstanceId> {
  const { register, issuing, isRevoked, now } = options;
  let group: Certificate[] = [];
  const ends = () => group[0] && dependsOn(group, issuing, now) && group[0].instance;
  for await (const certificate of register.all()) {
    if (group[0] && group[0].instance !== certificate.instance) {
      const instance = ends();
      if (instance) yield instance;
      group = [];
    }
    if (!isRevoked(certificate)) group.push(certificate);
  }
  const last = ends();
  if (last) yield last;
}
