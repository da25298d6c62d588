// Connections to a BMC, whose certificate is mostly its own: it has to be the pinned one, or to come
// from a CA that is named or that the system trusts. Never anything else.

import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { bareHost } from '../bare-host.ts';

export interface BmcTrust {
  /** SHA-256 over the DER of the BMC's own certificate. */
  readonly fingerprint: Digest | null;
  /** PEM; instead of the system's CAs. */
  readonly ca: string | null;
}

const LIMIT_MS = 20_000;

/** With a pin nothing is sent before the certificate has been compared. */
export function bmcDispatcher({ fingerprint, ca }: BmcTrust, limitMs = LIMIT_MS): Dispatcher {
  const open = buildConnector({
    timeout: limitMs,
    // A resumed connection shows no certificate that could be compared.
    maxCachedSessions: 0,
    // The pin below is stricter: this very certificate, whoever signed it.
    rejectUnauthorized: fingerprint === null,
    ...(ca !== null && { ca }),
  });
  return new Agent({
    headersTimeout: limitMs,
    bodyTimeout: limitMs,
    connect: (options, callback) =>
      open(options, (...[error, socket]) => {
        if (error !== null) return callback(error, null);
        const shown = fingerprintOf(socket as TLSSocket);
        if (fingerprint === null || shown === fingerprint) return callback(null, socket);
        socket.destroy();
        return callback(otherCertificate(shown, fingerprint), null);
      }),
  });
}

/** What a BMC shows, without believing it: nothing is sent. Null where nobody speaks TLS. */
export async function shownFingerprint(url: URL): Promise<Digest | null> {
  const shown = Promise.withResolvers<Digest | null>();
  const socket = connectTls({
    host: bareHost(url.hostname),
    port: Number(url.port || 443),
    rejectUnauthorized: false,
    timeout: LIMIT_MS,
  });
  socket.once('secureConnect', () => shown.resolve(fingerprintOf(socket)));
  socket.once('timeout', () => shown.resolve(null));
  socket.once('error', () => shown.resolve(null));
  try {
    return await shown.promise;
  } finally {
    socket.destroy();
  }
}

/** A certificate that nobody vouches for, as the error of a request shows it. */
export function isCertificateError(error: unknown): boolean {
  const code = (error as { code?: string } | null)?.code ?? '';
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/.test(code);
}

export const untrusted = (url: URL, shown: Digest | null, cause: unknown) =>
  new BilletError('BMC_UNTRUSTED', `nobody vouches for the certificate of ${url.host}`, {
    hint:
      shown === null
        ? 'name its CA with --bmc-ca, or pin it with --bmc-fingerprint'
        : `compare ${shown} with the SHA-256 fingerprint in the BMC's own web page, and pin it with --bmc-fingerprint`,
    cause,
    details: { shown },
  });

const otherCertificate = (shown: Digest, pinned: Digest) =>
  new BilletError('BMC_UNTRUSTED', `the BMC shows the certificate ${shown}, not ${pinned}`, {
    hint: 'was it renewed? compare it with the one in the BMC’s own web page before you pin the new one; else somebody is in between',
    details: { shown, pinned },
  });

const fingerprintOf = (socket: TLSSocket): Digest =>
  `sha256:${socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '').toLowerCase() ?? ''}` as Digest;
