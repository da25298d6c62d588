// A machine's side of claims: asked for, and asked about. What an operator makes of them is in
// claim-answers.ts; who may have one is decided in rules.ts.

import { randomBytes } from 'node:crypto';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { ClaimCode } from '#shared/schema/claim.ts';
import type { Facts } from '#shared/schema/facts.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import { acceptCsr } from '../ca/csr.ts';
import { hashSecret, isoTime, secretMatches, tokenIdOf } from '../ids.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { unknownClaim } from './answer.ts';
import { type ClaimRecord, INDEX } from './records.ts';
import { registeredApproval } from './registered/admit.ts';
import { judgeMachine, type Settings } from './registered/observe.ts';
import { admit, codeOf, OPEN_MS, type Standing } from './rules.ts';

export interface ClaimWish {
  readonly secret: string;
  readonly csr: string;
  readonly facts: Facts;
  readonly instance?: InstanceId | undefined;
  /** From where it is asked. */
  readonly address: string;
}

/** A commit has room for so many records that ended; the next one takes the rest. */
const SWEPT_MAX = 32;

/**
 * The claim of this key and secret: a new one, or the one it has. CSR_REFUSED, CLAIM_DENIED,
 * TOO_MANY_REQUESTS when too many wait, CLAIM_UNKNOWN for a secret that was used up.
 */
export async function openClaim(
  records: Records,
  wish: ClaimWish,
  settings: Settings,
): Promise<ClaimRecord> {
  const { secret, csr, facts, address } = wish;
  // Without a subject, for who it is is yet to be decided; it proves that the key is at hand.
  const publicKey = await acceptCsr(csr, { instance: '', uri: '' });
  const key = sha256(new Uint8Array(publicKey.rawData));
  const [hash, token] = [hashSecret(secret), tokenIdOf(secret)];

  const opened = await transact<ClaimRecord>(records.store, 'the claims', async () => {
    const now = records.clock.now();
    const index = await records.claimIndex.get(INDEX);
    const standing = index?.record.claims ?? [];
    const admission = admit(standing, { key, hash }, now);
    if (admission.kind === 'known') return null;
    if (admission.kind === 'denied') throw denied(admission.until);
    if (await records.tokens.get(token)) throw unknownClaim();
    const told = wish.instance ?? null;
    const judged = await judgeMachine(records, { facts, instance: told }, settings);
    const waits = judged.kind === 'wait' ? judged.waits : null;
    if (admission.fullUntil !== null && waits !== null) throw full(admission.fullUntil, now);
    const expiresAt = now + OPEN_MS;
    const asked: ClaimRecord = {
      ...{ code: codeOf(randomBytes(5)), state: 'open', key, hash, token, address, facts, waits },
      ...{ instance: told, createdAt: now, expiresAt, decision: null },
    };
    const approval =
      judged.kind === 'approve' ? await registeredApproval(records, asked, judged) : null;
    const record = approval?.next ?? asked;
    const { code, state } = record;
    const over = admission.over.slice(0, SWEPT_MAX);
    const claims = [
      ...admission.kept,
      ...admission.over.slice(SWEPT_MAX),
      { code, key, hash, state, expiresAt: record.expiresAt },
    ];
    return {
      changes: [
        ...(await endedChanges(records, over)),
        records.claimIndex.put(INDEX, { claims }, index?.revision ?? ABSENT),
        records.claims.put(code, record, ABSENT),
        ...(approval?.changes ?? [openedEvent(records, asked)]),
      ],
      result: () => record,
    };
  });
  return opened ?? (await knownClaim(records, hash));
}

/** What became of it. CLAIM_DENIED; CLAIM_UNKNOWN, the same for every reason. */
export async function pollClaim(
  records: Records,
  { code, secret }: { readonly code: ClaimCode; readonly secret: string },
): Promise<ClaimRecord> {
  const found = (await records.claims.get(code))?.record;
  const fits = found !== undefined && secretMatches(secret, found.hash);
  if (!fits || found.expiresAt <= records.clock.now()) throw unknownClaim();
  if (found.state === 'denied') throw denied(found.expiresAt);
  return found;
}

/** Deletes what ran out. The index names every claim, so nothing is looked for. */
export async function sweepClaims(records: Records): Promise<void> {
  await transact(records.store, 'the claims', async () => {
    const index = await records.claimIndex.get(INDEX);
    const now = records.clock.now();
    const claims = index?.record.claims ?? [];
    const over = claims.filter(({ expiresAt }) => expiresAt <= now).slice(0, SWEPT_MAX);
    if (!index || over.length === 0) return null;
    const kept = claims.filter((each) => !over.includes(each));
    return {
      changes: [
        ...(await endedChanges(records, over)),
        records.claimIndex.put(INDEX, { claims: kept }, index.revision),
      ],
      result: () => true,
    };
  });
}

const openedEvent = (records: Records, { code, key, address, waits }: ClaimRecord) =>
  records.events.tell({
    actor: 'anyone',
    kind: 'claim.opened',
    subject: `claim/${code}`,
    text: `a machine at ${address} asks to be claimed: ${waits?.text}`,
    details: { key, address, waits: waits?.why ?? null },
  });

async function endedChanges(
  records: Records,
  over: readonly Standing[],
): Promise<readonly Change[]> {
  const found = await Promise.all(over.map(({ code }) => records.claims.get(code)));
  return found.flatMap((each) => (each ? [records.claims.drop(each.id, each.revision)] : []));
}

async function knownClaim(records: Records, hash: string): Promise<ClaimRecord> {
  const standing = (await records.claimIndex.get(INDEX))?.record.claims ?? [];
  const own = standing.find((each) => each.hash === hash);
  const found = own && (await records.claims.get(own.code));
  if (found) return found.record;
  throw unknownClaim();
}

const denied = (until: number) =>
  new BilletError('CLAIM_DENIED', `an operator denied the claim of this machine`, {
    hint: `ask the operator; the machine may ask again after ${isoTime(until)}`,
    details: { until: isoTime(until) },
  });

const full = (until: number, now: number) =>
  new BilletError('TOO_MANY_REQUESTS', 'too many machines wait to be claimed', {
    hint: 'approve or deny some: billet claim list',
    details: { retryAfterSeconds: Math.max(1, Math.ceil((until - now) / 1000)) },
  });
