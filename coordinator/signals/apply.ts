// Writes what became of signals, many in one commit, and only while this coordinator leads. Decides
// nothing: what came too late is looked at again in the next sweep.

import { COORDINATOR } from '../events/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change } from '../store/collection.ts';
import { MAX_KEYS } from '../store/limits.ts';
import type { Condition } from '../store/store.ts';
import { cancel } from '../tasks/lease.ts';
import { stepChanges } from '../tasks/task-writes.ts';
import type { Turn } from './lifecycle.ts';
import { signalId } from './records.ts';

export interface Pending {
  readonly turn: Turn;
  /** At which the signal was read; null when there was none. */
  readonly revision: number | null;
  /** What is written with it, or not at all. */
  readonly order?: Order;
}

/** What a remedy asks for: all of it is in the commit that says so. */
export interface Order {
  readonly changes: readonly Change[];
  /** Of what was read, and must be as it was. */
  readonly conditions: readonly Condition[];
}

/** Part of a commit. */
interface Part {
  readonly changes: readonly Change[];
  readonly conditions: readonly Condition[];
}

/** Commits under way at once: they share a sync of the disk. */
const AT_ONCE = 16;

/** How many were written. */
export async function applyTurns(
  records: Records,
  pending: readonly Pending[],
  lead: Condition,
): Promise<number> {
  const queue: (readonly Part[])[] = [];
  let part: Part[] = [];
  let size = 0;
  for (const one of pending) {
    const { changes, conditions } = await partOf(records, one);
    // What touches more than its signal is alone: two of them may touch the same.
    if (one.order !== undefined || changes.length > 2) {
      queue.push([{ changes, conditions }]);
      continue;
    }
    // One condition is the leader's.
    if (size + changes.length >= MAX_KEYS) {
      queue.push(part);
      part = [];
      size = 0;
    }
    part.push({ changes, conditions });
    size += changes.length;
  }
  if (part.length > 0) queue.push(part);
  let written = 0;
  while (queue.length > 0)
    for (const count of await Promise.all(
      queue.splice(0, AT_ONCE).map((parts) => commitParts(records, parts, lead)),
    ))
      written += count;
  return written;
}

/** All of them, or what of them did not come too late. */
async function commitParts(
  records: Records,
  parts: readonly Part[],
  lead: Condition,
): Promise<number> {
  if (await commit(records, parts, lead)) return parts.length;
  if (parts.length === 1) return 0;
  let written = 0;
  for (const one of parts) if (await commit(records, [one], lead)) written += 1;
  return written;
}

async function commit(records: Records, parts: readonly Part[], lead: Condition): Promise<boolean> {
  const changes = parts.flatMap((part) => part.changes);
  const done = await records.store.commit(
    [...changes.map(({ condition }) => condition), ...parts.flatMap((one) => one.conditions), lead],
    changes.map(({ write }) => write),
  );
  return done !== null;
}

async function partOf(records: Records, { turn, revision, order }: Pending): Promise<Part> {
  const changes = [
    ...turnChanges(records, turn, revision ?? ABSENT, COORDINATOR),
    ...(turn.next.state === 'resolved' ? await withdrawn(records, turn, COORDINATOR) : []),
    ...(order?.changes ?? []),
  ];
  return { changes, conditions: order?.conditions ?? [] };
}

/** A signal and its event: part of a commit. */
export function turnChanges(
  records: Records,
  { next, news }: Turn,
  revision: number,
  actor: string,
): readonly Change[] {
  const id = signalId(next.instance, next.topic);
  const details = { signal: id, opening: next.opening };
  const told = news && { ...news, actor, subject: `instance/${next.instance}`, details };
  return [
    records.signals.put(id, next, revision),
    ...(told === null ? [] : [records.events.tell(told)]),
  ];
}

/** Part of the commit: an order that nobody has taken up is taken back, as it would mend what works. */
export async function withdrawn(
  records: Records,
  { next }: Turn,
  actor: string,
): Promise<readonly Change[]> {
  const { task } = next.remedy;
  const found = task === null ? null : await records.tasks.get(task);
  if (found?.record.state !== 'pending' || found.record.spec.kind === 'reboot') return [];
  const text = `${signalId(next.instance, next.topic)} is ${next.state}`;
  const news = { actor, kind: 'task.cancelled', text };
  const step = { found, next: cancel(found.record, records.clock.now()), news };
  return await stepChanges(records, next.instance, [step]);
}
