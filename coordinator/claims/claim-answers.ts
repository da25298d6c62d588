// An operator's side of claims: approved or denied. An approval is one commit of claim, instance, node,
// token and event; the token is the machine's own secret, and serves its key only.

import { BilletError } from '#shared/errors.ts';
import type { ClaimCode } from '#shared/schema/claim.ts';
import type { NodeName } from '#shared/schema/ids.ts';
import { freshInstance, instanceCreated } from '../nodes/instance-writes.ts';
import { mayEnroll } from '../nodes/lifecycle.ts';
import type { InstanceRecord, NodeRecord } from '../nodes/records.ts';
import { withOpenToken } from '../nodes/token-writes.ts';
import type { Records } from '../records.ts';
import type { Change, Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { answered, approvalOf, findClaim, indexChange } from './answer.ts';
import type { ClaimRecord } from './records.ts';
import { DENIED_MS } from './rules.ts';

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
    const target = await instanceFor(records, actor, node, claim.record, replace);
    const open = await withOpenToken(records, target.record, claim.record.token);
    const by = { actor, identifier: null };
    const approval = approvalOf(records, by, claim.record, {
      ...{ node: name, instance: target.record.id },
    });
    const { next } = approval;
    return {
      changes: [
        records.claims.put(code, next, claim.revision),
        await indexChange(records, next),
        ...target.changes(open),
        ...approval.changes,
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
    const decision = { by: actor, at: now, node: null, instance: null, identifier: null };
    const next: ClaimRecord = {
      ...claim.record,
      ...{ state: 'denied', expiresAt: now + DENIED_MS, decision },
    };
    return {
      changes: [
        records.claims.put(code, next, claim.revision),
        await indexChange(records, next),
        answered(records, actor, next, 'claim.denied', 'the claim was denied'),
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
