// From "this is who I am" to a certificate that works: a surviving key first, the token only where
// there is none or it will not do. Safe to run again after a crash at any point.

import { X509Certificate } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { Identity } from '#shared/schema/identity.ts';
import { fetchPinnedCa } from '../link/pin.ts';
import { openSession } from '../link/session.ts';
import { type Credentials, credentialsPath, loadCredentials } from './credentials.ts';
import { enrollNode, renewNode } from './enrollment.ts';
import { keyPath, loadKey, loadOrCreateKey, type NodeKey } from './key.ts';

export interface Enrolled {
  readonly key: NodeKey;
  readonly credentials: Credentials;
  /** survived: the certificate on disk; renewed: by the key on disk; enrolled: by the token. */
  readonly how: 'survived' | 'renewed' | 'enrolled';
}

export interface EnsureRequest {
  readonly identity: Identity;
  readonly facts: Facts;
  /** Where key and certificate are kept. Created with mode 0700. */
  readonly dir: string;
  readonly clock: Clock;
}

/**
 * Throws CA_PIN_MISMATCH before anything is sent, IDENTITY_MISSING without a token where one is
 * needed, LINK_DOWN, and what the coordinator answers.
 */
export async function ensureEnrolled(
  request: EnsureRequest,
  signal: AbortSignal,
): Promise<Enrolled> {
  const { identity, dir, clock } = request;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const known = await survivor(dir, identity);
  if (known !== null) {
    if (!hasRunOut(known.credentials, clock)) return { ...known, how: 'survived' };
    const renewed = await tryRenewal(request, known, signal);
    if (renewed !== null) return { key: known.key, credentials: renewed, how: 'renewed' };
  }
  const key = await loadOrCreateKey(dir);
  const ca = await fetchPinnedCa(identity, signal);
  const session = openSession({ coordinator: identity.coordinator, ca });
  try {
    const credentials = await enrollNode({ ...request, client: session.client, key }, signal);
    return { key, credentials, how: 'enrolled' };
  } finally {
    await session.close();
  }
}

/** Asks for the next certificate with the one at hand. */
export async function renew(
  { key, credentials }: Pick<Enrolled, 'key' | 'credentials'>,
  dir: string,
  facts: Facts,
  signal: AbortSignal,
): Promise<Credentials> {
  const { identity, certificate, ca } = credentials;
  const session = openSession({
    coordinator: identity.coordinator,
    ca,
    client: { certificate, key: key.pem },
  });
  try {
    return await renewNode({ client: session.client, identity, key, facts, dir }, signal);
  } finally {
    await session.close();
  }
}

/** The key and certificate of this very identity. Those of another one are removed. */
async function survivor(
  dir: string,
  identity: Identity,
): Promise<{ key: NodeKey; credentials: Credentials } | null> {
  const key = await loadKey(dir);
  const credentials = key === null ? null : await loadCredentials(dir, key);
  if (key === null || credentials === null) return null;
  const { instance, ca, coordinator } = credentials.identity;
  if (instance === identity.instance && ca === identity.ca)
    return {
      key,
      // The coordinator may have moved to another address; the pin says that it is the same one.
      credentials:
        coordinator === identity.coordinator ? credentials : withAddress(credentials, identity),
    };
  await rm(credentialsPath(dir), { force: true });
  await rm(keyPath(dir), { force: true });
  return null;
}

const withAddress = (credentials: Credentials, { coordinator }: Identity): Credentials => ({
  ...credentials,
  identity: { ...credentials.identity, coordinator },
});

const hasRunOut = ({ certificate }: Credentials, clock: Clock): boolean =>
  new X509Certificate(certificate).validToDate.getTime() <= clock.now();

/** Null where the coordinator refuses and there is a token to enroll with instead. */
async function tryRenewal(
  { identity, facts, dir }: EnsureRequest,
  known: { key: NodeKey; credentials: Credentials },
  signal: AbortSignal,
): Promise<Credentials | null> {
  try {
    return await renew(known, dir, facts, signal);
  } catch (error) {
    const refused = error instanceof BilletError && !error.retryable;
    if (refused && identity.token !== undefined) return null;
    throw error;
  }
}
