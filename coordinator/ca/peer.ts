// Who is at the other end of a TLS connection. TLS runs with `requestCert: true` and
// `rejectUnauthorized: false`: it proves possession of the key, and this file everything else, for
// two reasons. A certificate that ran out may still be renewed, and a resumed session must not
// outlive a revocation: so call it for every request, not once at the handshake.

import type { X509Certificate } from 'node:crypto';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { type InstanceId, Serial } from '#shared/schema/ids.ts';
import { parseInstanceUri, type TrustDomain } from '#shared/spiffe.ts';
import { issuerIn } from '#shared/trust-bundle.ts';
import type { Authorities } from './authorities.ts';

/** What a certificate of a CA of ours says. Times in Unix milliseconds. */
export interface Peer {
  readonly instance: InstanceId;
  readonly serial: Serial;
  /** Fingerprint of the CA that issued it. */
  readonly ca: Digest;
  readonly notAfter: number;
}

export interface CertificateGate {
  /**
   * Signature by a CA that is trusted, purpose and name: what never changes about a certificate, so
   * keep the answer with the connection. CERTIFICATE_REQUIRED without one, CERTIFICATE_INVALID.
   */
  identify(certificate: X509Certificate | undefined): Peer;
  /**
   * What does change: CERTIFICATE_INVALID once its CA was retired, CERTIFICATE_REVOKED,
   * CERTIFICATE_EXPIRED (`graceMs` after the end). Cheap: for every request. The beginning is not
   * judged: one that lies ahead says only that the clock here was ahead when it was issued, and a
   * node must not be locked out until that time comes round.
   */
  admit(peer: Peer, now: number, options?: { readonly graceMs?: number }): void;
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export function certificateGate(options: {
  authorities: Pick<Authorities, 'trusted' | 'isTrusted'>;
  trustDomain: TrustDomain;
  isRevoked: (serial: Serial) => boolean;
}): CertificateGate {
  const { trustDomain, isRevoked, authorities } = options;

  return {
    identify(certificate) {
      if (!certificate)
        throw new BilletError('CERTIFICATE_REQUIRED', 'the connection shows no node certificate', {
          hint: 'enroll first: POST /v1/enroll with a bootstrap token',
        });
      const issuer = issuerIn(authorities.trusted, certificate);
      if (issuer === null) throw invalid('it was not issued by a CA of this coordinator');
      if (certificate.ca || !certificate.keyUsage?.includes(CLIENT_AUTH))
        throw invalid('it is not for TLS clients');
      const [, uri] = /^URI:([^\s,"]+)$/.exec(certificate.subjectAltName ?? '') ?? [];
      const id = uri === undefined ? null : parseInstanceUri(uri);
      if (id?.trustDomain !== trustDomain)
        throw invalid(`it names no instance of the trust domain ${trustDomain}`);
      return {
        instance: id.instance,
        serial: serialOf(certificate),
        ca: issuer.fingerprint,
        notAfter: certificate.validToDate.getTime(),
      };
    },

    admit({ serial, instance, ca, notAfter }, now, { graceMs = 0 } = {}) {
      if (!authorities.isTrusted(ca)) throw invalid(`its CA ${ca} was retired`);
      if (isRevoked(serial))
        throw new BilletError(
          'CERTIFICATE_REVOKED',
          `certificate ${serial} of ${instance} was revoked`,
          {
            hint: 'an operator can order a boot, which gives the node a fresh token',
            details: { serial },
          },
        );
      if (now > notAfter + graceMs)
        throw new BilletError(
          'CERTIFICATE_EXPIRED',
          `certificate ${serial} of ${instance} has run out`,
          {
            hint:
              graceMs > 0
                ? 'too late to renew: an operator can order a boot, which gives the node a fresh token'
                : 'renew it: POST /v1/node/renew',
            details: { serial, notAfter },
          },
        );
    },
  };
}

/** As records have it: lower case, no leading zeros. */
const serialOf = (certificate: X509Certificate): Serial =>
  Serial.parse(certificate.serialNumber.toLowerCase().replace(/^0+(?=.)/, ''));

const invalid = (why: string) =>
  new BilletError('CERTIFICATE_INVALID', `the client certificate cannot be used: ${why}`, {
    hint: 'enroll again with a fresh bootstrap token',
  });
