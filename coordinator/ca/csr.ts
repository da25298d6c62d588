// Reads a PKCS#10 request (RFC 2986) and checks its proof of possession. Decides nothing: that is
// policy.ts.

import 'reflect-metadata';
import {
  Pkcs10CertificateRequest,
  type PublicKey,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import { BilletError } from '#shared/errors.ts';
import { type CsrOrigin, type CsrRequest, decideCsr } from './policy.ts';

const MAX_PEM = 8_192;

/** The key of a request that is well formed, self-signed and allowed; CSR_REFUSED otherwise. */
export async function acceptCsr(pem: string, origin: CsrOrigin): Promise<PublicKey> {
  const csr = read(pem);
  const decision = decideCsr(csr.request, origin);
  if (!decision.allowed) throw refused(decision.reason);
  if (!(await verifies(csr.parsed))) throw refused('its signature is not by its own key');
  return csr.parsed.publicKey;
}

function read(pem: string): { parsed: Pkcs10CertificateRequest; request: CsrRequest } {
  const body =
    /^-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/;
  const base64 = pem.length <= MAX_PEM ? body.exec(pem)?.[1] : undefined;
  if (base64 === undefined) throw refused('it is not one PEM block of a certificate request');
  try {
    const parsed = new Pkcs10CertificateRequest(Buffer.from(base64, 'base64'));
    return { parsed, request: requestOf(parsed) };
  } catch (cause) {
    throw refused('it is not a PKCS#10 request', cause);
  }
}

function requestOf(parsed: Pkcs10CertificateRequest): CsrRequest {
  const names = parsed.extensions.filter((each) => each instanceof SubjectAlternativeNameExtension);
  return {
    publicKey: keyType(parsed.publicKey.algorithm),
    subject: parsed.subjectName
      .toJSON()
      .flatMap((rdn) =>
        Object.entries(rdn).flatMap(([type, values]) => values.map((value) => ({ type, value }))),
      ),
    sans: names.flatMap((each) => each.names.items.map(({ type, value }) => ({ type, value }))),
    extensions: parsed.extensions.map((each) => each.type),
    attributes: parsed.attributes.map((each) => each.type),
  };
}

function keyType(algorithm: { name: string; namedCurve?: string }): CsrRequest['publicKey'] {
  if (algorithm.name === 'Ed25519') return { type: 'ed25519' };
  if (algorithm.name !== 'ECDSA') return { type: algorithm.name };
  return { type: 'ec', ...(algorithm.namedCurve ? { curve: algorithm.namedCurve } : {}) };
}

/** A signature that cannot even be checked does not verify. */
async function verifies(csr: Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return await csr.verify();
  } catch {
    return false;
  }
}

const refused = (reason: string, cause?: unknown) =>
  new BilletError('CSR_REFUSED', `the certificate request was refused: ${reason}`, {
    hint: 'make a new request with `billet agent`; docs/security.md has the rules',
    cause,
  });
