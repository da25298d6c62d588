// What outlived the last boot: key and certificate, and whether the coordinator that this boot was
// given still takes them. The boot's pin says whom to trust; the key, whose instance this is.

import { X509Certificate } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { SourceIdentity } from '#shared/schema/identity.ts';
import { readBundle } from '#shared/trust-bundle.ts';
import { fetchPinnedCa } from '../link/pin.ts';
import { openSession } from '../link/session.ts';
import { type Credentials, credentialsPath, loadCredentials } from './credentials.ts';
import { renewNode } from './enrollment.ts';
import { keyPath, loadKey, type NodeKey } from './key.ts';

export interface Survivor {
  readonly key: NodeKey;
  readonly credentials: Credentials;
}

/** The key and certificate of this instance. Those of another one are removed. */
export async function survivor(dir: string, identity: SourceIdentity): Promise<Survivor | null> {
  const key = await loadKey(dir);
  const credentials = key === null ? null : await loadCredentials(dir, key);
  if (key === null || credentials === null) return null;
  const { instance } = credentials.identity;
  if (instance !== (identity.instance ?? instance)) {
    await forget(dir);
    return null;
  }
  // The coordinator may have moved to another address; the pin says that it is the same one.
  const at = { ...credentials.identity, coordinator: identity.coordinator };
  return { key, credentials: { ...credentials, identity: at } };
}

/** Whether the pin of this boot names a CA that was trusted before: the one of then, or of a rotation. */
export const isPinned = ({ identity, ca }: Credentials, { ca: pin }: SourceIdentity): boolean =>
  identity.ca === pin || readBundle(ca).some(({ fingerprint }) => fingerprint === pin);

export const hasRunOut = ({ certificate }: Credentials, clock: Clock): boolean =>
  new X509Certificate(certificate).validToDate.getTime() <= clock.now();

/** Asks for the next certificate with the one at hand. */
export async function renew(
  { key, credentials }: Survivor,
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

/**
 * The same, from whoever bears the pinned CA, where nothing that was trusted before names it: a CA
 * that was rotated while this machine was away, or another coordinator, which then refuses.
 */
export async function renewUnderPin(
  { key, credentials }: Survivor,
  request: {
    readonly identity: SourceIdentity;
    readonly facts: Facts;
    readonly dir: string;
  },
  signal: AbortSignal,
): Promise<Credentials> {
  const { coordinator, ca: pin } = request.identity;
  const ca = await fetchPinnedCa(request.identity, signal);
  const identity = { ...credentials.identity, coordinator, ca: pin };
  const under = { key, credentials: { ...credentials, identity, ca } };
  return await renew(under, request.dir, request.facts, signal);
}

/** The certificate first: a key alone enrolls, a certificate without its key is nothing. */
export async function forget(dir: string): Promise<void> {
  await rm(credentialsPath(dir), { force: true });
  await rm(keyPath(dir), { force: true });
}

/** An answer that no later attempt changes. */
export const isRefusal = (error: unknown): error is BilletError =>
  error instanceof BilletError && !error.retryable && error.code !== 'CA_PIN_MISMATCH';
