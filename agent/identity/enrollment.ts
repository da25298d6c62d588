// Trades the bootstrap token for a certificate. Idempotent for one key: the key is on disk before
// the first request, so a reply that was lost is simply asked for again.

import { X509Certificate } from 'node:crypto';
import type { RouteClient } from '#shared/client/route-client.ts';
import { createCsr } from '#shared/csr.ts';
import { BilletError } from '#shared/errors.ts';
import { enroll, renewCertificate } from '#shared/routes/node.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { Identity } from '#shared/schema/identity.ts';
import { issuerIn, readBundle } from '#shared/trust-bundle.ts';
import { type Credentials, saveCredentials } from './credentials.ts';
import type { NodeKey } from './key.ts';

export interface EnrollmentRequest {
  /** Trusts exactly the pinned CA; shows no client certificate. */
  readonly client: RouteClient;
  readonly identity: Identity;
  readonly key: NodeKey;
  readonly facts: Facts;
  /** Where the key lies already, and the certificate goes. */
  readonly dir: string;
}

/** Throws IDENTITY_MISSING without a token, and what the coordinator answers (TOKEN_…, CSR_REFUSED). */
export async function enrollNode(
  { client, identity, key, facts, dir }: EnrollmentRequest,
  signal: AbortSignal,
): Promise<Credentials> {
  const { token, ...rest } = identity;
  if (token === undefined)
    throw new BilletError('IDENTITY_MISSING', `${identity.instance} has no token to enroll with`, {
      hint: `make one: billet token create ${identity.instance}`,
    });
  const csr = createCsr(key, identity.instance);
  const body = { instance: identity.instance, token, csr, facts };
  const reply = await client.call(enroll, { body, signal });
  return await keep({ dir, key }, rest, reply?.body);
}

/** `client` shows the certificate that is to be replaced; it may have run out up to 90 days ago. */
export async function renewNode(
  { client, identity, key, facts, dir }: EnrollmentRequest,
  signal: AbortSignal,
): Promise<Credentials> {
  const { token: _, ...rest } = identity;
  const csr = createCsr(key, identity.instance);
  const reply = await client.call(renewCertificate, { body: { csr, facts }, signal });
  return await keep({ dir, key }, rest, reply?.body);
}

interface Issued {
  readonly certificate: string;
  readonly ca: string;
  readonly history: string;
}

/** Nothing is written of an answer that could not be used. */
async function keep(
  { dir, key }: Pick<EnrollmentRequest, 'dir' | 'key'>,
  identity: Omit<Identity, 'token'>,
  issued: Issued | undefined,
): Promise<Credentials> {
  if (issued === undefined)
    throw new BilletError('INTERNAL', 'the coordinator issued no certificate and no error', {
      hint: 'look at the log of the coordinator',
    });
  const { certificate, ca, history } = issued;
  assertUsable(key, issued);
  const credentials: Credentials = { format: 1, identity, certificate, ca, history };
  await saveCredentials(dir, credentials);
  return credentials;
}

/** It is of this key, and one of the CAs that came along issued it. */
function assertUsable(key: NodeKey, { certificate, ca }: Issued): void {
  try {
    const made = new X509Certificate(certificate);
    if (made.checkPrivateKey(key.privateKey) && issuerIn(readBundle(ca), made)) return;
  } catch (cause) {
    throw unusable(cause);
  }
  throw unusable(undefined);
}

const unusable = (cause: unknown) =>
  new BilletError('INTERNAL', 'the coordinator issued a certificate that cannot be used', {
    hint: 'look at the log of the coordinator, and compare the versions of both sides',
    cause,
  });
