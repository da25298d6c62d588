// From "this is who I am" to a certificate that works: a surviving key first, the token where there is
// none or it will not do, a claim where there is no token. Safe to run again after a crash anywhere.

import { mkdir } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { Identity, SourceIdentity } from '#shared/schema/identity.ts';
import { fetchPinnedCa } from '../link/pin.ts';
import { openSession, type Session } from '../link/session.ts';
import { claimIdentity, type ShownClaim } from './claim.ts';
import { dropClaim } from './claim-file.ts';
import { type Credentials, loadCredentials } from './credentials.ts';
import { enrollNode } from './enrollment.ts';
import { loadKey, loadOrCreateKey, type NodeKey } from './key.ts';
import {
  forget,
  hasRunOut,
  isPinned,
  isRefusal,
  renew,
  renewUnderPin,
  type Survivor,
  survivor,
} from './survivor.ts';

export interface Enrolled {
  readonly key: NodeKey;
  readonly credentials: Credentials;
  /** survived: the certificate on disk; renewed: by its key; enrolled: by a token; claimed. */
  readonly how: 'survived' | 'renewed' | 'enrolled' | 'claimed';
}

export interface EnsureRequest {
  readonly identity: SourceIdentity;
  readonly facts: Facts;
  /** Where key and certificate are kept. Created with mode 0700. */
  readonly dir: string;
  readonly clock: Clock;
  /** Shows a claim to whoever stands before the machine. Nothing is claimed without it. */
  readonly onClaim?: ((shown: ShownClaim) => void) | undefined;
  /** An operator has not approved the claim yet; every few seconds. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * Throws CA_PIN_MISMATCH before anything is sent, IDENTITY_MISSING where neither key nor token will do
 * and nobody could see a claim, LINK_DOWN, and what the coordinator answers. Waits for an operator
 * where it has to ask to be claimed.
 */
export async function ensureEnrolled(
  request: EnsureRequest,
  signal: AbortSignal,
): Promise<Enrolled> {
  const { identity, dir, clock } = request;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const known = await survivor(dir, identity);
  if (known !== null) {
    const { credentials } = known;
    if (isPinned(credentials, identity) && !hasRunOut(credentials, clock))
      return { ...known, how: 'survived' };
    const renewed = await tryRenewal(request, known, signal);
    if (renewed !== null) return { key: known.key, credentials: renewed, how: 'renewed' };
  }
  // A claim is of one key.
  if ((await loadKey(dir)) === null) await dropClaim(dir);
  const key = await loadOrCreateKey(dir);
  const ca = await fetchPinnedCa(identity, signal);
  const session = openSession({ coordinator: identity.coordinator, ca });
  try {
    return await enrollWith(request, key, session, signal);
  } finally {
    await session.close();
  }
}

/** What a source says, with the instance that the surviving certificate names, if there is one. */
export async function recallInstance(source: SourceIdentity, dir: string): Promise<SourceIdentity> {
  const kept = source.instance === undefined ? await keptCredentials(dir) : null;
  if (kept === null || !isPinned(kept, source)) return source;
  return { ...source, instance: kept.identity.instance };
}

/** Who an earlier enrollment made of this machine; null without one whose key survives. */
export async function keptIdentity(dir: string): Promise<Identity | null> {
  return (await keptCredentials(dir))?.identity ?? null;
}

/** What an earlier enrollment left; null without one whose key survives. */
export async function keptCredentials(dir: string): Promise<Credentials | null> {
  const key = await loadKey(dir);
  return key === null ? null : await loadCredentials(dir, key);
}

async function enrollWith(
  request: EnsureRequest,
  key: NodeKey,
  { client }: Session,
  signal: AbortSignal,
): Promise<Enrolled> {
  const { identity, dir, onClaim } = request;
  const { instance, token } = identity;
  if (instance !== undefined && token !== undefined) {
    const whole = { ...identity, instance };
    const credentials = await enrollNode({ ...request, identity: whole, client, key }, signal);
    return { key, credentials, how: 'enrolled' };
  }
  if (onClaim === undefined)
    throw new BilletError('IDENTITY_MISSING', `${instance ?? 'this machine'} has no token`, {
      hint: `make one: billet token create ${instance ?? 'INSTANCE'}`,
    });
  const claimed = await claimIdentity(
    { ...request, source: identity, client, key, onClaim },
    signal,
  );
  try {
    const credentials = await enrollNode({ ...request, identity: claimed, client, key }, signal);
    await dropClaim(dir);
    return { key, credentials, how: 'claimed' };
  } catch (error) {
    // Approved too long ago, or taken back since: the next try asks anew.
    if (error instanceof BilletError && !error.retryable) await dropClaim(dir);
    throw error;
  }
}

/**
 * Null where the coordinator refuses and there is another way: a token, or a person for a late one.
 * One that never gave this certificate takes neither it nor its key.
 */
async function tryRenewal(
  request: EnsureRequest,
  known: Survivor,
  signal: AbortSignal,
): Promise<Credentials | null> {
  const { identity, facts, dir, onClaim } = request;
  const pinned = isPinned(known.credentials, identity);
  try {
    if (pinned) return await renew(known, dir, facts, signal);
    return await renewUnderPin(known, request, signal);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const late = error.code === 'CERTIFICATE_EXPIRED' || !pinned;
    if (identity.token === undefined && !(late && onClaim !== undefined)) throw error;
    if (!pinned) await forget(dir);
    return null;
  }
}
