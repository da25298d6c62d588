// Writes what became of signals, many in one commit, and only while this coordinator leads. Decides
// nothing: what came too late is looked at again in the next sweep.

import { COORDINATOR } from '../events/records.ts';
import type { Records } from '../records.ts';
import { ABSENT, type Change } from '../store/collection.ts';
import { MAX_KEYS } from '../store/limits.ts';
import type { Condition } from '../store/store.ts';
import { cancel, isOpen } from '../tasks/lease.ts';
import { stepChanges } from '../tasks/task-writes.ts';
import type { Turn } from './lifecycle.ts';
import { signalId } from './records.ts';

export interface Pending {
  readonly turn: Turn;
  /** At which the signal was read; null when there was none. */
  readonly revision: number | null;
}

/** Commits under way at once: they share a sync of the disk. */
const AT_ONCE = 16;

/** How many were written. */
export async function applyTurns(
  records: Records,
  pending: readonly Pending[],
  lead: Condition,
): Promise<number> {
  const parts: (readonly Change[])[][] = [[]];
  let size = 0;
  for (const one of pending) {
    const changes = await changesOf(records, one);
    // One condition is the leader's.
    if (size + changes.length >= MAX_KEYS) {
      parts.push([]);
      size = 0;
    }
    parts.at(-1)?.push(changes);
    size += changes.length;
  }
  let written = 0;
  const queue = parts.filter((part) => part.length > 0);
  while (queue.length > 0)
    for (const count of await Promise.all(
      queue.splice(0, AT_ONCE).map((part) => commitPart(records, part, lead)),
    ))
      written += count;
  return written;
}

/** All of a part, or what of it did not come too late. */
async function commitPart(
  records: Records,
  part: readonly (readonly Change[])[],
  lead: Condition,
): Promise<number> {
  if (await commitChanges(records, part.flat(), lead)) return part.length;
  if (part.length === 1) return 0;
  let written = 0;
  for (const changes of part) if (await commitChanges(records, changes, lead)) written += 1;
  return written;
}

const commitChanges = async (records: Records, changes: readonly Change[], lead: Condition) =>
  (await records.store.commit(
    [...changes.map(({ condition }) => condition), lead],
    changes.map(({ write }) => write),
  )) !== null;

async function changesOf(
  records: Records,
  { turn, revision }: Pending,
): Promise<readonly Change[]> {
  const { next } = turn;
  return [
    ...turnChanges(records, turn, revision ?? ABSENT, COORDINATOR),
    ...(next.state === 'resolved' ? await withdrawn(records, turn) : []),
  ];
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

/** A remedy that nobody took up yet would mend what works. */
async function withdrawn(records: Records, { next }: Turn): Promise<readonly Change[]> {
  const { task } = next.remedy;
  const found = task === null ? null : await records.tasks.get(task);
  if (!found || !isOpen(found.record) || found.record.spec.kind === 'reboot') return [];
  const { instance } = next;
  const news = { actor: COORDINATOR, kind: 'task.cancelled', text: 'its signal is resolved' };
  const step = { found, next: cancel(found.record, records.clock.now()), news };
  return await stepChanges(records, instance, [step]);
}
