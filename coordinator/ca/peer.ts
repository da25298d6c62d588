// Who is at the other end of a TLS connection. TLS runs with `requestCert: true` and
// `rejectUnauthorized: false`: it proves possession of the key, and this file everything else, for
// two reasons. A certificate that ran out may still be renewed, and a resumed session must not
// outlive a revocation: so call it for every request, not once at the handshake.

import type { X509Certificate } from 'node:crypto';
import { BilletError } from '#shared/errors.ts';
import { type InstanceId, Serial } from '#shared/schema/ids.ts';
import { parseInstanceUri, type TrustDomain } from '#shared/spiffe.ts';
import type { Authority } from './authority.ts';

/** What a certificate of this CA says. Times in Unix milliseconds. */
export interface Peer {
  readonly instance: InstanceId;
  readonly serial: Serial;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CertificateGate {
  /**
   * Signature by our CA, purpose and name: what never changes about a certificate, so keep the
   * answer with the connection. CERTIFICATE_REQUIRED without one, CERTIFICATE_INVALID.
   */
  identify(certificate: X509Certificate | undefined): Peer;
  /**
   * What does change: CERTIFICATE_REVOKED, CERTIFICATE_EXPIRED (`graceMs` after the end),
   * CERTIFICATE_INVALID before the beginning. Cheap: for every request.
   */
  admit(peer: Peer, now: number, options?: { readonly graceMs?: number }): void;
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

export function certificateGate(options: {
  authority: Pick<Authority, 'certificate'>;
  trustDomain: TrustDomain;
  isRevoked: (serial: Serial) => boolean;
}): CertificateGate {
  const { trustDomain, isRevoked } = options;
  const ca = options.authority.certificate;

  return {
    identify(certificate) {
      if (!certificate)
        throw new BilletError('CERTIFICATE_REQUIRED', 'the connection shows no node certificate', {
          hint: 'enroll first: POST /v1/enroll with a bootstrap token',
        });
      if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey))
        throw invalid('it was not issued by the CA of this coordinator');
      if (certificate.ca || !certificate.keyUsage?.includes(CLIENT_AUTH))
        throw invalid('it is not for TLS clients');
      const [, uri] = /^URI:([^\s,"]+)$/.exec(certificate.subjectAltName ?? '') ?? [];
      const id = uri === undefined ? null : parseInstanceUri(uri);
      if (id?.trustDomain !== trustDomain)
        throw invalid(`it names no instance of the trust domain ${trustDomain}`);
      return {
        instance: id.instance,
        serial: serialOf(certificate),
        notBefore: certificate.validFromDate.getTime(),
        notAfter: certificate.validToDate.getTime(),
      };
    },

    admit({ serial, instance, notBefore, notAfter }, now, { graceMs = 0 } = {}) {
      if (isRevoked(serial))
        throw new BilletError(
          'CERTIFICATE_REVOKED',
          `certificate ${serial} of ${instance} was revoked`,
          {
            hint: 'an operator can order a boot, which gives the node a fresh token',
            details: { serial },
          },
        );
      if (now < notBefore) throw invalid('it is not valid yet; is the clock here right?');
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
