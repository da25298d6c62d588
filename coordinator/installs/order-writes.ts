// Orders of installations by operators: one commit of instance, node, desired state and event. What it
// comes to at the node is decided there.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { InstallPlan, WipeId } from '#shared/schema/install-plan.ts';
import { generationAfter } from '../backup/rules.ts';
import { newInstallEventId } from '../ids.ts';
import { getInstance, told } from '../nodes/instance-writes.ts';
import { mayEnroll } from '../nodes/lifecycle.ts';
import { forgetChanges, generationChanges } from '../nodes/node-moves.ts';
import type { InstanceRecord } from '../nodes/records.ts';
import { advance } from '../nodes/rules.ts';
import type { Records } from '../records.ts';
import type { Found } from '../store/collection.ts';
import { type Draft, transact } from '../store/transact.ts';
import { isBegun, isSameOrder, newOrder, restarted } from './rules.ts';

export interface InstallWish {
  readonly wipeId: WipeId | null;
  readonly diskSerial: string | null;
  /** Also while one is under way. */
  readonly force: boolean;
}

/**
 * A new event, and with it a new generation; the next boot may have a token. The same order again, before
 * anything was begun under it, is the one that there is. INSTALL_PLAN_MISSING, INSTALL_UNDER_WAY,
 * CONFLICT for what has ended or waits in a pool, NOT_FOUND.
 */
export async function orderInstall(
  records: Records,
  actor: string,
  id: InstanceId,
  wish: InstallWish,
): Promise<InstanceRecord> {
  const ordered = await transact<InstanceRecord>(records.store, `instance ${id}`, async () => {
    const found = await getInstance(records, id);
    const before = found.record;
    assertOrderable(before);
    const [node, last] = await Promise.all([
      records.nodes.get(before.node),
      records.installs.get(id),
    ]);
    await planOf(records, before);
    if (!node) throw noPlan(before);
    const heard = last?.record.report ?? null;
    if (isSameOrder(before.install, wish) && !isBegun(before.install, heard))
      return before.boot.ordered || !hasRun(before) ? null : bootAgain(records, actor, found);
    if (heard?.event === before.install?.event && heard?.state === 'installing' && !wish.force)
      throw underWay(before, heard.step);
    const now = records.clock.now();
    const install = newOrder(newInstallEventId(), wish, now);
    const generation = generationAfter(before.generation, node.record.generation);
    const boot = { ...before.boot, ordered: true };
    const next = advance({ ...restarted(before, now), install, boot }, generation);
    const text = `${before.node} is to be installed anew by its next boot from a medium, as ${install.event}`;
    return {
      changes: [
        records.instances.put(id, next, found.revision),
        records.nodes.put(node.id, { ...node.record, generation }, node.revision),
        ...generationChanges(records, next, node.record.derived),
        ...(await forgetChanges(records, before, next)),
        told(records, actor, id, 'instance.install_ordered', text),
      ],
      result: () => next,
    };
  });
  return ordered ?? (await getInstance(records, id)).record;
}

/** It went on without installing: only another boot does what was ordered. */
const hasRun = ({ state }: InstanceRecord) => state === 'running' || state === 'draining';

function bootAgain(
  records: Records,
  actor: string,
  { id, record, revision }: Found<InstanceRecord>,
): Draft<InstanceRecord> {
  const next = { ...record, boot: { ...record.boot, ordered: true } };
  const text = 'the next boot gets a token, and installs';
  return {
    changes: [
      records.instances.put(id, next, revision),
      told(records, actor, record.id, 'instance.boot_ordered', text),
    ],
    result: () => next,
  };
}

/** Of class and node, without what an order says over it. INSTALL_PLAN_MISSING. */
export async function planOf(records: Records, record: InstanceRecord): Promise<InstallPlan> {
  const node = record.pool === null ? await records.nodes.get(record.node) : null;
  const plan = node?.record.derived.install ?? null;
  if (plan !== null) return plan;
  throw noPlan(record);
}

const noPlan = ({ id, node }: InstanceRecord) =>
  new BilletError('INSTALL_PLAN_MISSING', `${id} (${node}) has no install plan`, {
    hint: `give its class or its node one, with profile and disk, by billet apply: spec.install; billet node show ${node} shows what it has`,
  });

function assertOrderable({ id, node, pool, state }: InstanceRecord): void {
  if (pool !== null)
    throw new BilletError('CONFLICT', `${id} waits in the pool ${pool}`, {
      hint: 'machines of a pool install what its class says as they are made; change the class',
    });
  if (mayEnroll(state)) return;
  throw new BilletError('CONFLICT', `${id} is ${state}`, {
    hint: `billet instance terminate ${id}, then billet instance create ${node}`,
    details: { state },
  });
}

const underWay = ({ id, install }: InstanceRecord, step: string | null) =>
  new BilletError('INSTALL_UNDER_WAY', `${id} installs itself now: ${step ?? 'it begins'}`, {
    hint: `billet instance show ${id}; a machine that lost its power goes on where it was. With --force it begins anew, and needs --wipe for what is on the disk by then`,
    details: { event: install?.event ?? null, step },
  });
