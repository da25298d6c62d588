// The coordinator's own approval of a claim, of a machine that it expects: parts of commits. As with an
// ordered network boot, what the same boot was given before counts no longer.

import { COORDINATOR } from '../../events/records.ts';
import { identifierText } from '../../nodes/identifiers/rules.ts';
import { freshInstance, instanceCreated } from '../../nodes/instance-writes.ts';
import { openTokens, revokeTokenChanges } from '../../nodes/token-writes.ts';
import type { Records } from '../../records.ts';
import type { Change } from '../../store/collection.ts';
import { transact } from '../../store/transact.ts';
import { type Approval, approvalOf, findClaim, indexChange } from '../answer.ts';
import type { ClaimRecord } from '../records.ts';
import { type Judged, judgeMachine, type Settings } from './observe.ts';

/** The claim as approved, and what else is written with it: instance, node, token, event. */
export async function registeredApproval(
  records: Records,
  claim: ClaimRecord,
  judged: Extract<Judged, { kind: 'approve' }>,
): Promise<Approval> {
  const { node, instance, identifier } = judged;
  const before = instance?.record ?? freshInstance(records, node.record);
  const { boot } = before;
  const open = (await openTokens(records, before)).map(({ id }) => id);
  const record = {
    ...before,
    // Ordered until it enrolls: a machine that restarts before has another key, and asks again.
    boot: { ordered: true, token: claim.token },
    openTokens: [...open.filter((id) => id !== boot.token), claim.token],
  };
  const changes: readonly Change[] =
    instance === null
      ? instanceCreated(records, COORDINATOR, node, record)
      : [records.instances.put(record.id, record, instance.revision)];
  const revoked = boot.token === null ? [] : await revokeTokenChanges(records, boot.token);
  const by = { actor: COORDINATOR, identifier: identifierText(identifier) };
  const approval = approvalOf(records, by, claim, { node: node.record.name, instance: record.id });
  return { next: approval.next, changes: [...approval.changes, ...changes, ...revoked] };
}

/**
 * Looks again at a claim that waits: what it waited for may have come. Writes only what is new, and
 * returns the claim as it is then. CLAIM_UNKNOWN.
 */
export async function lookAgain(
  records: Records,
  code: ClaimRecord['code'],
  settings: Settings,
): Promise<ClaimRecord> {
  const changed = await transact<ClaimRecord>(records.store, `claim ${code}`, async () => {
    const claim = await findClaim(records, code);
    if (claim.record.state !== 'open') return null;
    const judged = await judgeMachine(records, claim.record, settings);
    if (judged.kind === 'approve') {
      const { next, changes } = await registeredApproval(records, claim.record, judged);
      const index = await indexChange(records, next);
      return {
        changes: [records.claims.put(code, next, claim.revision), index, ...changes],
        result: () => next,
      };
    }
    const { waits } = judged;
    if (waits.text === claim.record.waits?.text) return null;
    const next = { ...claim.record, waits };
    return { changes: [records.claims.put(code, next, claim.revision)], result: () => next };
  });
  return changed ?? (await findClaim(records, code)).record;
}
