// Asks a coordinator that nothing vouches for yet: which CAs it names, which chain it shows, what
// time it has. Believes none of it and sends no secret; pin.ts and coordinator-time.ts judge.

import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { BilletError } from '#shared/errors.ts';
import { getCa } from '#shared/routes/admin.ts';
import { readBundle, type TrustedCa } from '#shared/trust-bundle.ts';

export interface Greeting {
  /** What GET /v1/ca named; empty when that was no bundle. */
  readonly named: readonly TrustedCa[];
  /** The certificates of the handshake, leaf first, each before the one that it names as its issuer. */
  readonly chain: readonly X509Certificate[];
  /** The header Date in Unix milliseconds; null without one. */
  readonly date: number | null;
}

const TIMEOUT_MS = 15_000;
const CHAIN_MAX = 8;
const BUNDLE_BYTES_MAX = 64 * 1024;

/** LINK_DOWN without a handshake and an answer within 15 s. */
export async function greet(coordinator: string, signal: AbortSignal): Promise<Greeting> {
  const url = new URL(getCa.path, coordinator);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const ends = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const response = await answerTo(url, { host, servername: isIP(host) ? '' : host }, ends);
    const chain = chainOf(response.socket as TLSSocket);
    const named = bundleOf(await textOf(response));
    const date = Date.parse(response.headers.date ?? '');
    return { chain, named, date: Number.isNaN(date) ? null : date };
  } catch (cause) {
    signal.throwIfAborted();
    const why = ends.aborted ? 'no answer in time' : cause instanceof Error ? cause.message : cause;
    throw new BilletError('LINK_DOWN', `no TLS handshake with ${coordinator}: ${why}`, {
      hint: 'check the address and that the coordinator runs',
      cause,
    });
  }
}

function answerTo(
  url: URL,
  peer: { readonly host: string; readonly servername: string },
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = {
      ...peer,
      signal,
      agent: false,
      minVersion: 'TLSv1.3' as const,
      // The chain is judged by a fingerprint, and nothing but this question goes over the connection.
      rejectUnauthorized: false,
    };
    requestHttps(url, options, resolve).once('error', reject).end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('latin1')) {
    text += chunk;
    if (text.length > BUNDLE_BYTES_MAX) throw new Error('it answered more than a few certificates');
  }
  return text;
}

function bundleOf(text: string): readonly TrustedCa[] {
  try {
    return readBundle(text);
  } catch (error) {
    if (error instanceof Error && 'code' in error) return [];
    throw error;
  }
}

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
