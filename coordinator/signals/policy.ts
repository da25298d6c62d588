// What may follow from a signal, and when: which policy holds, which step of its remedy is next, and
// when to give up. Pure. Bounded: each opening has so many steps, with growing pauses, and then waits for
// a person; one that opens again within the hour goes on where it was.

import type { ClassSignals, RemedyState, RemedyStep, SignalPolicy } from '#shared/schema/signal.ts';
import type { SignalRecord } from './records.ts';

/**
 * Where neither class nor configuration says otherwise. What mends modules interrupts nothing that
 * works, so it is done; letting a machine have a token is for people.
 */
export const POLICIES: Readonly<Record<keyof ClassSignals, SignalPolicy>> = {
  silent: 'ask',
  drift: 'notify_and_proceed',
  stuck: 'ask',
};

/** The class's word, or else the configuration's. */
export const policyOf = (
  topic: keyof ClassSignals,
  ofClass: ClassSignals | null,
  configured: Readonly<Record<keyof ClassSignals, SignalPolicy>>,
): SignalPolicy => ofClass?.[topic] ?? configured[topic];

const MINUTE_MS = 60_000;
/** After the end of the first, second … order of an opening. */
const PAUSES_MS = [2 * MINUTE_MS, 10 * MINUTE_MS, 30 * MINUTE_MS];
/** One that is resolved for less opens again with what it had tried. */
export const SAME_TROUBLE_MS = 60 * MINUTE_MS;

type Remedied = Pick<SignalRecord, 'state' | 'policy' | 'remedy'>;

/** A reboot stops everything on a node: no policy orders one. */
const asks = (step: RemedyStep, policy: SignalPolicy): boolean =>
  policy === 'ask' || step === 'reboot';

export function remedyState({ state, policy, remedy }: Remedied): RemedyState {
  const { steps, taken, isOpen, approvedBy } = remedy;
  const step = steps[Math.min(taken, steps.length - 1)];
  if (state === 'resolved' || step === undefined) return 'none';
  if (isOpen) return 'ordered';
  if (approvedBy === null) {
    if (asks(step, policy)) return 'asking';
    if (policy === 'notify') return 'none';
    // Somebody looks at it.
    if (state === 'acknowledged') return 'asking';
  }
  return taken < steps.length ? 'due' : 'exhausted';
}

/** When the next step is to be ordered; null when none is. Unix milliseconds. */
export function nextStepAt(signal: Remedied): number | null {
  if (remedyState(signal) !== 'due') return null;
  const { taken, lastAt } = signal.remedy;
  if (taken === 0 || lastAt === null) return lastAt ?? 0;
  return lastAt + (PAUSES_MS[Math.min(taken, PAUSES_MS.length) - 1] ?? 0);
}

/** The step to order now, or null. */
export function dueStep(signal: Remedied, now: number): RemedyStep | null {
  const at = nextStepAt(signal);
  return at === null || at > now ? null : (signal.remedy.steps[signal.remedy.taken] ?? null);
}
