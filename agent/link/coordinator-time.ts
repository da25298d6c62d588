// The coordinator's time for a machine that has none, and can judge no certificate by its dates: from
// whoever holds the key of a certificate that a trusted CA signed for that address. Sets no clock.

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Digest } from '#shared/digest.ts';
import { issuerIn, type TrustedCa } from '#shared/trust-bundle.ts';
import { type Greeting, greet } from './greeting.ts';

export interface TimeRequest {
  /** Base URL of the coordinator. */
  readonly coordinator: string;
  /** The fingerprint that this machine was booted with. */
  readonly pin: Digest;
  /** CAs that an earlier boot trusted. */
  readonly known: readonly TrustedCa[];
}

export interface CoordinatorTime {
  /** No clock that is right stands before this: the beginning of the server's certificate. */
  readonly notBefore: number;
  /** What the coordinator says it is, if that lies within the life of its certificate. */
  readonly now: number | null;
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** Null when the chain leads to no CA that is trusted: then nothing it says counts. LINK_DOWN. */
export async function coordinatorTime(
  request: TimeRequest,
  signal: AbortSignal,
): Promise<CoordinatorTime | null> {
  return judgeTime(request, await greet(request.coordinator, signal));
}

/** Unix milliseconds. All but the dates of the certificates is checked, as for any connection. */
function judgeTime(
  { coordinator, pin, known }: TimeRequest,
  { chain, named, date }: Greeting,
): CoordinatorTime | null {
  const [leaf] = chain;
  const trusted = [...known, ...named.filter(({ fingerprint }) => fingerprint === pin)];
  if (leaf === undefined || !isServer(leaf, coordinator) || !leads(chain, trusted)) return null;
  const [from, to] = [leaf.validFromDate.getTime(), leaf.validToDate.getTime()];
  return { notBefore: from, now: date !== null && date >= from && date <= to ? date : null };
}

function isServer(leaf: X509Certificate, coordinator: string): boolean {
  const host = new URL(coordinator).hostname.replace(/^\[|\]$/g, '');
  const named = isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host);
  return named !== undefined && !leaf.ca && leaf.keyUsage?.includes(SERVER_AUTH) === true;
}

/** Each is signed by the next, which is a CA, until one is signed by a CA that is trusted. */
function leads(chain: readonly X509Certificate[], trusted: readonly TrustedCa[]): boolean {
  for (const [at, certificate] of chain.entries()) {
    if (issuerIn(trusted, certificate) !== null) return true;
    const next = chain[at + 1];
    if (!next?.ca || issuerIn([{ certificate: next }], certificate) === null) return false;
  }
  return false;
}
