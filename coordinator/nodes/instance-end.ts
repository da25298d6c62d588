// The end of an instance: ordered by a person or a rule, and closed once no machine is left. Each is
// one commit of instance, certificates, tokens, tasks, node and event.

import type { InstanceId } from '#shared/schema/ids.ts';
import type { Register } from '../ca/register.ts';
import { drainRequired } from '../drain/losses.ts';
import { COORDINATOR } from '../events/records.ts';
import type { Records } from '../records.ts';
import type { Change, Found } from '../store/collection.ts';
import { type Draft, transact } from '../store/transact.ts';
import { closingSteps, stepChanges } from '../tasks/task-writes.ts';
import { freshInstance, instanceCreated, noInstance, told } from './instance-writes.ts';
import { after, follow, isLive, needsDrain } from './lifecycle.ts';
import { type Deadline, dueDeadline } from './lifecycle-deadlines.ts';
import { enter, type InstanceRecord, type MachineRecord, newMachine } from './records.ts';
import { revokeTokenChanges } from './token-writes.ts';

export interface EndDeps {
  readonly records: Records;
  readonly register: Register;
}

export interface EndOrder {
  /** Also when it runs and was not drained. */
  readonly force: boolean;
  /** Also when nobody can prove that its machine is gone: that stays as a leftover. */
  readonly abandon: boolean;
}

export interface Ended {
  readonly record: InstanceRecord;
  /** Of the commit that revoked its certificates; null when there were none. */
  readonly revision: number | null;
}

/**
 * Revokes certificates, closes tokens and tasks, in one commit, so that the node is off at once; the
 * machine goes next, by its provider, or by the person who provides it. Idempotent. DRAIN_REQUIRED,
 * saying what force would lose; NOT_FOUND.
 */
export async function terminate(
  deps: EndDeps,
  actor: string,
  id: InstanceId,
  order: EndOrder,
): Promise<Ended> {
  const { records } = deps;
  const ended = await transact<Ended>(records.store, `instance ${id}`, async () => {
    const found = (await records.instances.get(id)) ?? noInstance(id);
    const { record } = found;
    if (record.state === 'terminating' && order.abandon && record.machine?.abandoned === false)
      return abandonDraft(records, actor, found, record.machine);
    if (!isLive(record.state)) return null;
    if (needsDrain(record) && !order.force) throw await drainRequired(records, record);
    const news = { actor, reason: `by ${actor}`, replace: false, abandon: order.abandon };
    return await endDraft(deps, found, news);
  });
  if (ended) return ended;
  return { record: ((await records.instances.get(id)) ?? noInstance(id)).record, revision: null };
}

export interface EndNews {
  readonly actor: string;
  readonly reason: string;
  /** Whether the node gets another instance when this one has ended. */
  readonly replace: boolean;
  readonly abandon: boolean;
}

/** The commit that takes everything from an instance that made it one. */
export async function endDraft(
  { records, register }: EndDeps,
  { record, revision }: Found<InstanceRecord>,
  { actor, reason, replace, abandon }: EndNews,
): Promise<Draft<Ended>> {
  const { id } = record;
  const now = records.clock.now();
  const state = follow(record.state, 'terminating');
  const machine = record.machine && { ...fresh(record.machine), abandoned: abandon };
  const closed = { boot: { ordered: false, token: null }, openTokens: [], certificate: null };
  const next = { ...enter(record, state, now, reason), ...closed, machine, replace };
  const tokens = record.openTokens.map((token) => revokeTokenChanges(records, token));
  const order = { reason: 'cessationOfOperation', by: actor, now } as const;
  const revoked = await register.revokeInstance(id, order);
  return {
    changes: [
      records.instances.put(id, next, revision),
      ...revoked,
      ...(await Promise.all(tokens)).flat(),
      ...(await stepChanges(records, id, await closingSteps(records, actor, id))),
      told(records, actor, id, 'instance.terminating', `${id} was terminated: ${reason}`),
    ],
    result: (at) => ({ record: next, revision: revoked.length > 0 ? at : null }),
  };
}

function abandonDraft(
  records: Records,
  actor: string,
  { id, record, revision }: Found<InstanceRecord>,
  machine: MachineRecord,
): Draft<Ended> {
  const next = { ...record, machine: { ...machine, abandoned: true } };
  const text = `${machine.operation} may be left at ${record.provider}`;
  return {
    changes: [
      records.instances.put(record.id, next, revision),
      told(
        records,
        actor,
        record.id,
        'instance.abandoned',
        `${id} is closed without proof: ${text}`,
      ),
    ],
    result: () => ({ record: next, revision: null }),
  };
}

/** Calls for another purpose than before count from none. */
const fresh = (machine: MachineRecord): MachineRecord => ({
  ...machine,
  attempts: 0,
  retryAt: 0,
  fault: null,
});

/** Acts on the deadline of its state that is past, if one is. The revision that revoked, or null. */
export async function meetDeadline(deps: EndDeps, id: InstanceId): Promise<number | null> {
  const { records } = deps;
  const ended = await transact<Ended>(records.store, `instance ${id}`, async () => {
    const found = await records.instances.get(id);
    const due = found && dueDeadline(found.record, records.clock.now());
    if (!found || !due) return null;
    if (due.action === 'finish') return await closeDraft(records, found, due.reason);
    if (due.action === 'signal') return overdueDraft(records, found, due);
    if (due.action === 'fail') return failDraft(records, found, { ...due, replace: false });
    const { reason } = due;
    const replace = found.record.replace;
    return await endDraft(deps, found, { actor: COORDINATOR, reason, replace, abandon: false });
  });
  return ended?.revision ?? null;
}

const hintFor = (hint: string, id: InstanceId) => hint.replaceAll('ID', id);

function overdueDraft(
  records: Records,
  { record, revision }: Found<InstanceRecord>,
  due: Deadline,
): Draft<Ended> {
  const { id } = record;
  const hint = hintFor(due.hint, id);
  const next = { ...record, signalled: due.afterMs, reason: due.reason };
  return {
    changes: [
      records.instances.put(id, next, revision),
      told(records, COORDINATOR, id, 'instance.overdue', `${due.reason}; ${hint}`),
    ],
    result: () => ({ record: next, revision: null }),
  };
}

/** Part of what the rules do: the instance has failed, and why. */
export function failDraft(
  records: Records,
  { record, revision }: Found<InstanceRecord>,
  why: { readonly reason: string; readonly hint: string; readonly replace: boolean },
): Draft<Ended> {
  const { id } = record;
  const fault = record.machine?.fault;
  const cause = fault ? `${why.reason}; ${fault.code}: ${fault.message}` : why.reason;
  const text = cause.slice(0, 1024);
  const failed = enter(record, after(record.state, 'fail'), records.clock.now(), text);
  const next = { ...failed, replace: why.replace };
  const hint = hintFor(why.hint, id);
  return {
    changes: [
      records.instances.put(id, next, revision),
      told(records, COORDINATOR, id, 'instance.failed', `${text}; ${hint}`),
    ],
    result: () => ({ record: next, revision: null }),
  };
}

/**
 * Nothing is left of it: closed, in one commit with its node, which keeps its history, and gets
 * another instance of the same shape when this one is to be replaced.
 */
export async function closeDraft(
  records: Records,
  { record, revision }: Found<InstanceRecord>,
  reason: string,
): Promise<Draft<Ended>> {
  const { id, machine } = record;
  const state = follow(record.state, 'terminated');
  const closed = enter(record, state, records.clock.now(), record.reason || reason);
  const next = { ...closed, machine: machine && { ...machine, fault: null } };
  // Of an abandoned machine the operation stays: by it a leftover is known.
  const isProven = machine !== null && !machine.abandoned;
  const operation = isProven ? await records.operations.get(machine.operation) : null;
  const indexed = machine && (await records.machines.get(machine.uuid));
  const [drain, warm, install] = await Promise.all([
    records.drains.get(id),
    records.warm.get(id),
    records.installs.get(id),
  ]);
  return {
    changes: [
      records.instances.put(id, next, revision),
      ...(operation ? [records.operations.drop(operation.id, operation.revision)] : []),
      ...(indexed ? [records.machines.drop(indexed.id, indexed.revision)] : []),
      ...(drain ? [records.drains.drop(id, drain.revision)] : []),
      ...(warm ? [records.warm.drop(id, warm.revision)] : []),
      ...(install ? [records.installs.drop(id, install.revision)] : []),
      ...(await nodeChanges(records, record)),
      told(records, COORDINATOR, id, 'instance.terminated', reason),
    ],
    result: () => ({ record: next, revision: null }),
  };
}

async function nodeChanges(records: Records, record: InstanceRecord): Promise<readonly Change[]> {
  const node = await records.nodes.get(record.node);
  if (node?.record.instance !== record.id) return [];
  const left = { ...node, record: { ...node.record, instance: null } };
  if (!record.replace || record.machine === null)
    return [records.nodes.put(record.node, left.record, node.revision)];
  const { provider } = record;
  const machine = newMachine(record.machine, null);
  const next = freshInstance(records, left.record, { provider, machine });
  return instanceCreated(records, COORDINATOR, left, next);
}
