// The two kinds of certificate that the CA gives out: to nodes for 30 days, to its own servers for
// 90. Accepts no request by itself; csr.ts and policy.ts come before.

import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type PublicKey,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509';
import {
  CLOCK_SKEW_MS,
  NODE_LIFETIME_MS,
  renewAt,
  SERVER_LIFETIME_MS,
} from '#shared/certificate.ts';
import { BilletError } from '#shared/errors.ts';
import { pem } from '#shared/pem.ts';
import { instanceUri, type SpiffeId } from '#shared/spiffe.ts';
import type { Authorities } from './authorities.ts';
import type { Authority, Issued } from './authority.ts';
import { acceptCsr } from './csr.ts';

/**
 * The certificate for a node's request: its key, and the name that the coordinator knows it by; no
 * other part of the request. Times in Unix milliseconds. CSR_REFUSED, with the reason.
 */
export async function issueNodeCertificate(
  authority: Authority,
  request: { readonly csr: string; readonly id: SpiffeId; readonly now: number },
): Promise<Issued> {
  const uri = instanceUri(request.id);
  const publicKey: PublicKey = await acceptCsr(request.csr, { instance: request.id.instance, uri });
  return authority.issue({
    publicKey,
    notBefore: request.now - CLOCK_SKEW_MS,
    notAfter: Math.min(request.now + NODE_LIFETIME_MS, endOf(authority)),
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]),
      // Critical, because the subject is empty (RFC 5280 §4.2.1.6).
      new SubjectAlternativeNameExtension([{ type: 'url', value: uri }], true),
    ],
  });
}

export interface ServerCertificate {
  /** PKCS#8 PEM; made anew each time and kept in memory only. */
  readonly key: string;
  /** The server's certificate, and what leads from it to each CA that is trusted. */
  readonly chain: string;
  /** When to make the next one and swap it in. */
  readonly renewAt: number;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Time for the next one: also when it was made by a clock that was ahead, and nobody accepts it yet. */
export const isStale = ({ renewAt: due, notBefore }: ServerCertificate, now: number): boolean =>
  now >= due || now < notBefore;

/** `names` are DNS names and IP addresses by which nodes and operators reach this coordinator. */
export async function issueServerCertificate(
  authority: Authority & Pick<Authorities, 'chainPem'>,
  { names, now }: { readonly names: readonly string[]; readonly now: number },
): Promise<ServerCertificate> {
  const bad = names.find((name) => !isIP(name) && !DNS_NAME.test(name));
  if (bad !== undefined || names.length === 0)
    throw new BilletError('CONFIG_INVALID', `not a name of a server: ${bad ?? '(none)'}`, {
      hint: 'give DNS names and IP addresses without port or scheme',
    });
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const issued = await authority.issue({
    publicKey: keys.publicKey,
    notBefore: now - CLOCK_SKEW_MS,
    notAfter: Math.min(now + SERVER_LIFETIME_MS, endOf(authority)),
    extensions: [
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
        true,
      ),
    ],
  });
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    key: pem('PRIVATE KEY', new Uint8Array(pkcs8)),
    chain: issued.pem + authority.chainPem,
    renewAt: renewAt(issued.notBefore, issued.notAfter),
    notBefore: issued.notBefore,
    notAfter: issued.notAfter,
  };
}

/** RFC 1123 §2.1, with a wildcard for the first label. */
const DNS_NAME =
  /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/** No certificate outlives its CA. */
const endOf = (authority: Authority) => authority.certificate.validToDate.getTime();
