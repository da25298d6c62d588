// The life of a signal: what a sight makes of it, and what a person may. Pure functions from one record
// to the next, with what is to be told; who reads and writes is elsewhere.

import { BilletError } from '#shared/errors.ts';
import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import {
  SIGNAL_KINDS,
  type SignalPolicy,
  type SignalState,
  type SignalTopic,
} from '#shared/schema/signal.ts';
import { remedyState, SAME_TROUBLE_MS } from './policy.ts';
import { type SignalRecord, signalId } from './records.ts';
import { type Finding, headOf, type Sight } from './rules.ts';

/** A record as it is to be, and the event of it; null where it is not worth one. */
export interface Turn {
  readonly next: SignalRecord;
  readonly news: { readonly kind: string; readonly text: string } | null;
}

export interface About {
  readonly instance: InstanceId;
  readonly topic: SignalTopic;
  readonly node: NodeName | null;
  readonly policy: SignalPolicy;
}

const isClosed = (state: SignalState): boolean => state === 'resolved';

/** Null when nothing changes: the same sight again, any number of times, changes nothing. */
export function settle(
  before: SignalRecord | null,
  sight: Sight,
  about: About,
  now: number,
): Turn | null {
  switch (sight.is) {
    case 'unknown':
      return null;
    case 'clear':
      return before && cleared(before, sight.why, now);
    case 'found':
      if (before === null || isClosed(before.state))
        return before?.muted === sight.finding.fingerprint
          ? null
          : opened(before, sight.finding, about, now);
      return changed(before, sight.finding, about, now);
  }
}

function opened(before: SignalRecord | null, finding: Finding, about: About, now: number): Turn {
  const isSameTrouble = before !== null && now - before.changedAt < SAME_TROUBLE_MS;
  const next: SignalRecord = {
    ...about,
    ...said(finding),
    state: 'open',
    opening: (before?.opening ?? 0) + 1,
    openedAt: now,
    changedAt: now,
    by: null,
    resolution: '',
    muted: null,
    remedy: {
      steps: [...finding.steps],
      taken: isSameTrouble ? before.remedy.taken : 0,
      task: null,
      isOpen: false,
      lastAt: isSameTrouble ? before.remedy.lastAt : null,
      approvedBy: null,
    },
  };
  const text = `${finding.text}: ${finding.cause}; ${finding.hint}`;
  return { next, news: { kind: SIGNAL_KINDS[about.topic], text } };
}

function changed(
  before: SignalRecord,
  finding: Finding,
  { node, policy }: About,
  now: number,
): Turn | null {
  const isOther = finding.fingerprint !== before.fingerprint;
  const isExplained = headOf(finding.cause) !== headOf(before.cause);
  if (!isOther && !isExplained && before.policy === policy) return null;
  const isNew = isOther || isExplained;
  const next: SignalRecord = {
    ...before,
    ...{ node, policy },
    ...(isNew ? said(finding) : {}),
    ...(isOther ? { changedAt: now } : {}),
    remedy: { ...before.remedy, ...(isNew ? { steps: [...finding.steps] } : {}) },
  };
  if (!isOther) return { next, news: null };
  const text = `${finding.text}: ${finding.cause}; ${finding.hint}`;
  return { next, news: { kind: 'signal.changed', text } };
}

function cleared(before: SignalRecord, why: string, now: number): Turn | null {
  if (!isClosed(before.state)) return closed(before, why, now);
  // What was dismissed is over: the next time it is another one.
  return before.muted === null ? null : { next: { ...before, muted: null }, news: null };
}

function closed(before: SignalRecord, why: string, now: number): Turn {
  const minutes = Math.round((now - before.openedAt) / 60_000);
  const next: SignalRecord = {
    ...before,
    state: 'resolved',
    resolution: why.slice(0, 256),
    changedAt: now,
    remedy: { ...before.remedy, isOpen: false },
  };
  const text = `${SIGNAL_KINDS[before.topic]} is resolved after ${minutes} min: ${why}`;
  return { next, news: { kind: 'signal.resolved', text } };
}

const said = ({ fingerprint, text, cause, hint, drift }: Finding) => ({
  fingerprint,
  text: text.slice(0, 1024),
  cause: cause.slice(0, 1024),
  hint: hint.slice(0, 1024),
  drift,
});

export interface Answer {
  readonly actor: string;
  /** Which opening the person has seen; null for whichever it is. */
  readonly opening: number | null;
  readonly now: number;
}

/** Null when it is so already. CONFLICT for one that is resolved, or has been opened anew since. */
export function acknowledge(before: SignalRecord, answer: Answer): Turn | null {
  assertOpening(before, answer);
  if (before.state === 'acknowledged') return null;
  const next: SignalRecord = {
    ...before,
    state: 'acknowledged',
    by: answer.actor,
    changedAt: answer.now,
    remedy: { ...before.remedy, approvedBy: null },
  };
  const text = `${signalId(before.instance, before.topic)} was acknowledged: nothing is done by itself`;
  return { next, news: { kind: 'signal.acknowledged', text } };
}

/** The remedy may be taken, from its first step. CONFLICT where there is none, or it is under way. */
export function approve(before: SignalRecord, answer: Answer): Turn {
  assertOpening(before, answer);
  const id = signalId(before.instance, before.topic);
  const { steps, taken, approvedBy } = before.remedy;
  if (steps.length === 0)
    throw new BilletError('CONFLICT', `${id} has no remedy that can be taken from here`, {
      hint: before.hint,
    });
  if (before.remedy.isOpen || (approvedBy !== null && taken < steps.length))
    throw new BilletError('CONFLICT', `the remedy of ${id} is under way`, {
      hint: `billet signal show ${id}`,
      details: { remedy: remedyState(before) },
    });
  const remedy = { ...before.remedy, taken: 0, lastAt: null, approvedBy: answer.actor };
  const text = `${id} was approved: ${steps.join(', then ')}`;
  return {
    next: { ...before, changedAt: answer.now, remedy },
    news: { kind: 'signal.approved', text },
  };
}

/** It is as it should be, a person says: it opens again for another finding only. */
export function dismiss(before: SignalRecord, answer: Answer): Turn {
  assertOpening(before, answer);
  const { next } = closed(before, `dismissed by ${answer.actor}`, answer.now);
  const text = `${signalId(before.instance, before.topic)} was dismissed`;
  return {
    next: { ...next, by: answer.actor, muted: before.fingerprint },
    news: { kind: 'signal.dismissed', text },
  };
}

function assertOpening(before: SignalRecord, { opening }: Answer): void {
  const id = signalId(before.instance, before.topic);
  if (isClosed(before.state))
    throw new BilletError('CONFLICT', `${id} is resolved: ${before.resolution}`, {
      hint: 'billet signal list',
      details: { state: before.state },
    });
  if (opening === null || opening === before.opening) return;
  throw new BilletError('CONFLICT', `${id} was resolved, and opened anew since`, {
    hint: `look at it again: billet signal show ${id}`,
    details: { opening: before.opening },
  });
}
