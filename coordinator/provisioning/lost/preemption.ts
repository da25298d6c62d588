// Acts on a provider's notice that it takes a machine away. When what is due is decided in rules.ts.

import { BilletError } from '#shared/errors.ts';
import { drain } from '../../drain/drain-writes.ts';
import { COORDINATOR } from '../../events/records.ts';
import { type EndDeps, endDraft } from '../../nodes/instance-end.ts';
import type { InstanceRecord } from '../../nodes/records.ts';
import type { Records } from '../../records.ts';
import type { Found } from '../../store/collection.ts';
import { drainSeconds, preemptionTurn } from './rules.ts';

/**
 * Orders the drain of an instance that is to go, for as long as there is time. Idempotent: what is
 * being drained is left so, also by somebody else's order.
 */
export async function drainPreempted(records: Records, record: InstanceRecord): Promise<void> {
  const now = records.clock.now();
  if (record.preemption === null || preemptionTurn(record, now) !== 'drain') return;
  const timeoutSeconds = drainSeconds(record.preemption, now);
  try {
    await drain(records, COORDINATOR, record.id, { cordonOnly: false, timeoutSeconds });
  } catch (error) {
    // Somebody has it drained otherwise already, or it has just ended: both are as well.
    if (!(error instanceof BilletError) || error.code !== 'CONFLICT') throw error;
  }
}

/** Its node gets another instance once the machine is proven gone. Null when that is not due. */
export const preemptedDraft = async (deps: EndDeps, found: Found<InstanceRecord>) =>
  preemptionTurn(found.record, deps.records.clock.now()) === 'end'
    ? await takenDraft(deps, found)
    : null;

/** The same once the machine was seen to be gone. */
export const takenDraft = (deps: EndDeps, found: Found<InstanceRecord>) =>
  endDraft(deps, found, {
    actor: COORDINATOR,
    reason: 'preempted by its provider',
    replace: true,
    abandon: false,
  });
