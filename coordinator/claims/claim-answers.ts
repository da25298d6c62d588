// An operator's side of claims: approved or denied. An approval is one commit of claim, instance, node,
// token and event; the token is the machine's own secret, and serves its key only.

import { BilletError } from '#shared/errors.ts';
import type { ClaimCode } from '#shared/schema/claim.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import { freshInstance, instanceCreated } from '../nodes/instance-writes.ts';
import { mayEnroll } from '../nodes/lifecycle.ts';
import type { InstanceRecord, NodeRecord } from '../nodes/records.ts';
import { withOpenToken } from '../nodes/token-writes.ts';
import type { TokenRecord } from '../nodes/tokens.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { unknownClaim } from './claim-writes.ts';
import { type ClaimRecord, INDEX } from './records.ts';
import { APPROVED_MS, DENIED_MS } from './rules.ts';

/** The claim under a code that still counts. CLAIM_UNKNOWN, the same for every reason. */
export async function findClaim(records: Records, code: ClaimCode): Promise<Found<ClaimRecord>> {
  const found = await records.claims.get(code);
  if (found && found.record.expiresAt > records.clock.now()) return found;
  throw unknownClaim();
}

/**
 * Lets the machine be `node`. Approved again for the same node it is the same. CLAIM_UNKNOWN;
 * NOT_FOUND without the node; CONFLICT when it was answered otherwise, the node has another machine
 * (`replace` takes its place), or the machine was told to be another instance.
 */
export async function approveClaim(
  records: Records,
  actor: string,
  wanted: { readonly code: ClaimCode; readonly node: NodeName; readonly replace: boolean },
): Promise<ClaimRecord> {
  const { code, node: name, replace } = wanted;
  const approved = await transact<ClaimRecord>(records.store, `claim ${code}`, async () => {
    const claim = await findClaim(records, code);
    if (claim.record.state === 'approved' && claim.record.decision?.node === name) return null;
    assertOpen(claim.record);
    const node = await records.nodes.get(name);
    if (!node)
      throw new BilletError('NOT_FOUND', `no node ${name}`, { hint: `billet node create ${name}` });
    const now = records.clock.now();
    const { hash, token: id, key } = claim.record;
    const target = await instanceFor(records, actor, node, claim.record, replace);
    const { id: instance } = target.record;
    const token: TokenRecord = {
      ...{ id, instance, hash, key, createdAt: now, createdBy: actor },
      ...{ expiresAt: now + APPROVED_MS, used: null, revokedAt: null },
    };
    const next: ClaimRecord = {
      ...claim.record,
      state: 'approved',
      expiresAt: token.expiresAt,
      decision: { by: actor, at: now, node: name, instance },
    };
    return {
      changes: [
        ...(await answerChanges(records, claim, next)),
        ...target.changes(await withOpenToken(records, target.record, id)),
        records.tokens.put(id, token, ABSENT),
        told(records, actor, next, 'claim.approved', `claimed as ${name}`),
      ],
      result: () => next,
    };
  });
  return approved ?? (await findClaim(records, code)).record;
}

/** Idempotent. CLAIM_UNKNOWN; CONFLICT once it was approved. */
export async function denyClaim(
  records: Records,
  actor: string,
  code: ClaimCode,
): Promise<ClaimRecord> {
  const denied = await transact<ClaimRecord>(records.store, `claim ${code}`, async () => {
    const claim = await findClaim(records, code);
    if (claim.record.state === 'denied') return null;
    assertOpen(claim.record);
    const now = records.clock.now();
    const decision = { by: actor, at: now, node: null, instance: null };
    const next: ClaimRecord = {
      ...claim.record,
      ...{ state: 'denied', expiresAt: now + DENIED_MS, decision },
    };
    return {
      changes: [
        ...(await answerChanges(records, claim, next)),
        told(records, actor, next, 'claim.denied', 'the claim was denied'),
      ],
      result: () => next,
    };
  });
  return denied ?? (await findClaim(records, code)).record;
}

interface Target {
  readonly record: InstanceRecord;
  /** What writes it, with these tokens open. */
  changes(openTokens: InstanceRecord['openTokens']): readonly Change[];
}

/** The node's instance, if a machine may become it, else a new one. */
async function instanceFor(
  records: Records,
  actor: string,
  node: Found<NodeRecord>,
  claim: ClaimRecord,
  replace: boolean,
): Promise<Target> {
  const { name, instance } = node.record;
  if (claim.instance !== null && claim.instance !== instance)
    throw new BilletError('CONFLICT', `the machine was told to be ${claim.instance}`, {
      hint: `approve it for the node of ${claim.instance}, or take billet.instance out of what the machine boots with`,
      details: { instance: claim.instance },
    });
  if (instance === null) {
    // No network boot is ordered with it: this machine has its way in already.
    const boot = { ordered: false, token: null };
    const record = { ...freshInstance(records, node.record), boot };
    const changes = (openTokens: InstanceRecord['openTokens']) =>
      instanceCreated(records, actor, node, { ...record, openTokens });
    return { record, changes };
  }
  const found = await records.instances.get(instance);
  if (!found || !mayEnroll(found.record.state))
    throw new BilletError('CONFLICT', `${instance} is ${found?.record.state ?? 'gone'}`, {
      hint: `billet instance terminate ${instance}; the approval then makes the next one`,
    });
  if (found.record.certificate !== null && !replace)
    throw new BilletError('CONFLICT', `a machine has enrolled as ${instance} of ${name}`, {
      hint: `if this is the same machine, or is to take its place: billet claim approve ${claim.code} --node ${name} --replace`,
      details: { instance },
    });
  const changes = (openTokens: InstanceRecord['openTokens']) => [
    records.instances.put(instance, { ...found.record, openTokens }, found.revision),
  ];
  return { record: found.record, changes };
}

function assertOpen({ state, code, decision }: ClaimRecord): void {
  if (state === 'open') return;
  const what = state === 'denied' ? 'denied' : `approved for ${decision?.node}`;
  const undo = decision?.instance
    ? `billet instance terminate ${decision.instance} takes it back`
    : 'the machine shows another code in a quarter of an hour';
  throw new BilletError('CONFLICT', `claim ${code} was ${what} by ${decision?.by}`, { hint: undo });
}

async function answerChanges(
  records: Records,
  { revision }: Found<ClaimRecord>,
  next: ClaimRecord,
): Promise<readonly Change[]> {
  const index = await records.claimIndex.get(INDEX);
  if (!index) throw unknownClaim();
  const { code, state, expiresAt } = next;
  const claims = index.record.claims.map((each) =>
    each.code === code ? { ...each, state, expiresAt } : each,
  );
  return [
    records.claims.put(code, next, revision),
    records.claimIndex.put(INDEX, { claims }, index.revision),
  ];
}

const told = (records: Records, actor: string, claim: ClaimRecord, kind: string, text: string) =>
  records.events.tell({
    ...{ actor, kind, subject: `claim/${claim.code}`, text },
    details: { key: claim.key, instance: claim.decision?.instance ?? null },
  });
