// What people make of signals: each is one commit of the signal and its event. What may be made of which
// is in lifecycle.ts.

import { BilletError } from '#shared/errors.ts';
import type { SignalId } from '#shared/schema/signal.ts';
import type { Records } from '../records.ts';
import { type Change, commitAll, type Found } from '../store/collection.ts';
import { transact } from '../store/transact.ts';
import { turnChanges, withdrawn } from './apply.ts';
import { acknowledge, approve, dismiss, type Turn } from './lifecycle.ts';
import type { SignalRecord } from './records.ts';

const ANSWERS = { acknowledge, approve, dismiss } as const;

export interface PersonsAnswer {
  readonly what: keyof typeof ANSWERS;
  readonly actor: string;
  /** Which opening the person has seen; undefined for whichever it is. */
  readonly opening: number | undefined;
}

/** The signal as it is then. CONFLICT, saying why; NOT_FOUND. */
export async function answerSignal(
  records: Records,
  id: SignalId,
  { what, actor, opening }: PersonsAnswer,
): Promise<SignalRecord> {
  const answered = await transact(records.store, `signal ${id}`, async () => {
    const { record, revision } = await getSignal(records, id);
    const answer = { actor, opening: opening ?? null, now: records.clock.now() };
    const turn: Turn | null = ANSWERS[what](record, answer);
    return (
      turn && {
        changes: [
          ...turnChanges(records, turn, revision, actor),
          // Nothing goes on by itself once a person looks at it.
          ...(what === 'approve' ? [] : await withdrawn(records, turn, actor)),
        ],
        result: () => turn.next,
      }
    );
  });
  return answered ?? (await getSignal(records, id)).record;
}

/** Of one that is resolved: CONFLICT otherwise. NOT_FOUND. Its events stay. */
export async function deleteSignal(records: Records, actor: string, id: SignalId): Promise<void> {
  await transact(records.store, `signal ${id}`, async () => {
    const { record, revision } = await getSignal(records, id);
    if (record.state !== 'resolved')
      throw new BilletError('CONFLICT', `${id} is ${record.state}`, {
        hint: `billet signal dismiss ${id} resolves it`,
      });
    const subject = `instance/${record.instance}`;
    const text = `${id} was deleted`;
    return {
      changes: [
        records.signals.drop(id, revision),
        records.events.tell({ actor, kind: 'signal.deleted', subject, text }),
      ],
      result: () => true,
    };
  });
}

const KEPT_MS = 30 * 24 * 3_600_000;
/** At most this many at a time: the next call goes on. */
const PART = 50;

/** Forgets signals that have been resolved for long; what was dismissed and still is so stays. */
export async function forgetSignals(records: Records): Promise<void> {
  const before = records.clock.now() - KEPT_MS;
  const changes: Change[] = [];
  for await (const { id, record, revision } of records.signals.all()) {
    const { state, muted, changedAt } = record;
    if (state === 'resolved' && muted === null && changedAt < before)
      changes.push(records.signals.drop(id, revision));
    if (changes.length === PART) break;
  }
  if (changes.length > 0) await commitAll(records.store, changes);
}

/** NOT_FOUND. */
export async function getSignal(records: Records, id: SignalId): Promise<Found<SignalRecord>> {
  const found = await records.signals.get(id);
  if (found) return found;
  throw new BilletError('NOT_FOUND', `no signal ${id}`, { hint: 'billet signal list --all' });
}
