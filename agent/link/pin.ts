// Fetches the coordinator's CA certificate and believes it only by its fingerprint. Sends nothing
// but a TLS hello, and gives no connection on: what follows verifies in the ordinary way.

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { type Digest, sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';

export interface PinRequest {
  /** Base URL of the coordinator. */
  readonly coordinator: string;
  /** SHA-256 of the CA certificate's DER. */
  readonly ca: Digest;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 15_000;
const CHAIN_MAX = 8;

/**
 * PEM of the CA certificate. The coordinator has to send it at the end of its chain. Throws
 * CA_PIN_MISMATCH when no certificate of the chain has the fingerprint, LINK_DOWN without a handshake.
 */
export async function fetchPinnedCa(request: PinRequest, signal: AbortSignal): Promise<string> {
  const { hostname, port } = new URL(request.coordinator);
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(port || 443),
    ...(isIP(host) ? {} : { servername: host }),
    minVersion: 'TLSv1.3',
    // The chain is judged here, by its fingerprint, and this connection carries no data.
    rejectUnauthorized: false,
  });
  try {
    await handshake(socket, request, signal);
    const chain = chainOf(socket);
    const found = chain.find((certificate) => sha256(certificate.raw) === request.ca);
    if (found?.ca) return found.toString();
    throw mismatch(request, chain);
  } finally {
    socket.destroy();
  }
}

function handshake(socket: TLSSocket, request: PinRequest, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const down = (cause: unknown) =>
      reject(
        signal.aborted
          ? signal.reason
          : new BilletError(
              'LINK_DOWN',
              `no TLS handshake with ${request.coordinator}: ${cause instanceof Error ? cause.message : cause}`,
              { hint: 'check the address and that the coordinator runs', cause },
            ),
      );
    const onAbort = () => socket.destroy(new Error('given up'));
    signal.addEventListener('abort', onAbort, { once: true });
    socket
      .setTimeout(request.timeoutMs ?? TIMEOUT_MS, () => socket.destroy(new Error('timed out')))
      .once('secureConnect', resolve)
      .once('error', down)
      .once('close', () => {
        signal.removeEventListener('abort', onAbort);
        down('closed');
      });
    if (signal.aborted) onAbort();
  });
}

/** Leaf first. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerX509Certificate();
  while (next !== undefined && chain.length < CHAIN_MAX) {
    const { fingerprint256 } = next;
    if (chain.some((known) => known.fingerprint256 === fingerprint256)) break;
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain;
}

function mismatch(request: PinRequest, chain: readonly X509Certificate[]): BilletError {
  const shown = chain.at(-1);
  return new BilletError(
    'CA_PIN_MISMATCH',
    `${request.coordinator} shows the CA ${shown ? sha256(shown.raw) : '(none)'}, pinned is ${request.ca}`,
    {
      hint: 'somebody may stand between; if the coordinator was set up anew, boot with its new fingerprint (`billet token create` prints it)',
      details: { pinned: request.ca, chain: chain.map(({ raw }) => sha256(raw)) },
    },
  );
}
