// Parts of commits that answer a claim, whoever answers: an operator in claim-answers.ts, the coordinator
// itself in registered/admit.ts. Decides nothing.

import { BilletError } from '#shared/errors.ts';
import type { ClaimCode } from '#shared/schema/claim.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { TokenRecord } from '../nodes/tokens.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change, type Found } from '../store/collection.ts';
import { type ClaimRecord, INDEX } from './records.ts';
import { APPROVED_MS } from './rules.ts';

/** The claim under a code that still counts. CLAIM_UNKNOWN, the same for every reason. */
export async function findClaim(records: Records, code: ClaimCode): Promise<Found<ClaimRecord>> {
  const found = await records.claims.get(code);
  if (found && found.record.expiresAt > records.clock.now()) return found;
  throw unknownClaim();
}

export const unknownClaim = (): BilletError =>
  new BilletError('CLAIM_UNKNOWN', 'there is no such claim', {
    hint: 'compare with the console of the machine: a code lasts 15 minutes, and then it shows another',
  });

export interface Approval {
  readonly next: ClaimRecord;
  /** Of token and event; what writes the claim itself, and its instance, is beside it. */
  readonly changes: readonly Change[];
}

/** The machine's secret becomes a token of the instance, which serves its key only. */
export function approvalOf(
  records: Records,
  by: { readonly actor: string; readonly identifier: string | null },
  claim: ClaimRecord,
  to: { readonly node: NodeName; readonly instance: InstanceId },
): Approval {
  const now = records.clock.now();
  const { hash, token: id, key } = claim;
  const { actor, identifier } = by;
  const token: TokenRecord = {
    ...{ id, instance: to.instance, hash, key, createdAt: now, createdBy: actor },
    ...{ expiresAt: now + APPROVED_MS, used: null, revokedAt: null },
  };
  const next: ClaimRecord = {
    ...claim,
    state: 'approved',
    expiresAt: token.expiresAt,
    decision: { by: actor, at: now, ...to, identifier },
  };
  const text = identifier === null ? '' : ` by its ${identifier}`;
  return {
    next,
    changes: [
      records.tokens.put(id, token, ABSENT),
      answered(records, actor, next, 'claim.approved', `claimed as ${to.node}${text}`),
    ],
  };
}

/** The claim's entry among all of them. */
export async function indexChange(records: Records, next: ClaimRecord): Promise<Change> {
  const index = await records.claimIndex.get(INDEX);
  if (!index) throw unknownClaim();
  const { code, state, expiresAt } = next;
  const claims = index.record.claims.map((each) =>
    each.code === code ? { ...each, state, expiresAt } : each,
  );
  return records.claimIndex.put(INDEX, { claims }, index.revision);
}

/** What was answered, in words. */
export const answered = (
  records: Records,
  actor: string,
  claim: ClaimRecord,
  kind: string,
  text: string,
) =>
  records.events.tell({
    ...{ actor, kind, subject: `claim/${claim.code}`, text },
    details: {
      key: claim.key,
      address: claim.address,
      instance: claim.decision?.instance ?? null,
      identifier: claim.decision?.identifier ?? null,
    },
  });
