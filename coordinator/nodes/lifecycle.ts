// The states of an instance, as data and pure functions: which may follow which, how long each may
// last, and what then happens. Reads no clock and writes no record.

import { BilletError } from '#shared/errors.ts';
import type { InstanceState } from '#shared/schema/records.ts';

/** From DESIGN's "Lifecycle of an instance": any live state may also become failed. */
const FOLLOWS: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  pending: ['provisioning', 'bootstrapping', 'terminating', 'failed'],
  provisioning: ['installing', 'bootstrapping', 'terminating', 'failed'],
  installing: ['bootstrapping', 'terminating', 'failed'],
  bootstrapping: ['running', 'terminating', 'failed'],
  running: ['draining', 'terminating', 'failed'],
  draining: ['running', 'terminating', 'failed'],
  failed: ['terminating'],
  terminating: ['terminated', 'failed'],
  terminated: [],
};

/** What a provider has to stand behind a machine. `manual`: a person switches it on and off. */
export type Provider = 'manual';

export interface Deadline {
  readonly afterMs: number;
  /** signal: say so once and go on waiting; fail: give up; finish: nothing is left to wait for. */
  readonly action: 'signal' | 'fail' | 'finish';
  readonly reason: string;
  readonly hint: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** In order of time. A state that is not listed waits for a person, and shows. */
const DEADLINES: Readonly<Record<Provider, Partial<Record<InstanceState, readonly Deadline[]>>>> = {
  manual: {
    bootstrapping: [
      {
        afterMs: 15 * MINUTE,
        action: 'signal',
        reason: 'not ready 15 minutes after first contact',
        hint: 'read BILLET_FAILURE lines on its console; `billet instance show ID` has its conditions',
      },
      {
        afterMs: 24 * HOUR,
        action: 'fail',
        reason: 'not ready 24 hours after first contact',
        hint: 'billet instance terminate ID, then create another',
      },
    ],
    terminating: [
      { afterMs: 0, action: 'finish', reason: 'no machine of a provider to wait for', hint: '' },
    ],
  },
};

/** What is left of a state's deadlines: the newest one that is past and was not acted on, or null. */
export function dueDeadline(
  instance: {
    readonly state: InstanceState;
    readonly stateSince: number;
    readonly signalled: number;
  },
  provider: Provider,
  now: number,
): Deadline | null {
  const due = (DEADLINES[provider][instance.state] ?? []).filter(
    ({ afterMs, action }) =>
      instance.stateSince + afterMs <= now && (action !== 'signal' || afterMs > instance.signalled),
  );
  return due.at(-1) ?? null;
}

/** States in which a machine may hold a certificate and be served. */
export const isLive = (state: InstanceState): boolean =>
  state !== 'terminating' && state !== 'terminated';

/** States in which a machine may enroll: the ones before and while it runs. */
export const mayEnroll = (state: InstanceState): boolean => isLive(state) && state !== 'failed';

/** `next` when it may follow; INTERNAL otherwise, for callers decide with the functions above. */
export function follow(state: InstanceState, next: InstanceState): InstanceState {
  if (FOLLOWS[state].includes(next)) return next;
  throw new BilletError('INTERNAL', `an instance cannot go from ${state} to ${next}`, {
    hint: 'report this as a defect',
  });
}

/** The state after a machine enrolled: first contact, or another boot of what runs. */
export const afterEnrollment = (state: InstanceState): InstanceState =>
  FOLLOWS[state].includes('bootstrapping') ? 'bootstrapping' : state;

/** The state after a machine was seen ready. A failed instance stays so: its way out is termination. */
export const afterReady = (state: InstanceState): InstanceState =>
  state === 'bootstrapping' ? 'running' : state;
