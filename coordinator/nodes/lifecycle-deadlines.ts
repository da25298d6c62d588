// How long an instance may stay in each state, by provider and class, and what then happens: pure
// functions of a state and a time. A state without a deadline waits for a person, and shows.

import type { LifecycleClass } from '#shared/schema/class.ts';
import type { ProviderKind } from '#shared/schema/provider.ts';
import type { InstanceState } from '#shared/schema/records.ts';
import { isReplaceable } from './lifecycle.ts';

export interface Deadline {
  readonly afterMs: number;
  /**
   * signal: say so once and go on waiting; fail: give up; terminate: end it, its class allows that;
   * finish: nothing is left to wait for.
   */
  readonly action: 'signal' | 'fail' | 'terminate' | 'finish';
  /** The likely cause. */
  readonly reason: string;
  /** The next command; ID stands for the instance. */
  readonly hint: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

type Deadlines = Partial<Record<InstanceState, readonly Deadline[]>>;

const PROVIDED: Deadlines = {
  pending: [
    {
      afterMs: 5 * MINUTE,
      action: 'fail',
      reason:
        'no machine was asked for in 5 minutes: the provider refuses, or no coordinator leads',
      hint: 'billet instance show ID has the provider’s answer; then billet instance terminate ID',
    },
  ],
  provisioning: [
    {
      afterMs: 10 * MINUTE,
      action: 'fail',
      reason: 'the machine did not call in 10 minutes: its creation hangs, or it does not boot',
      hint: 'read its console log, billet provider list; then billet instance terminate ID',
    },
  ],
  installing: [
    {
      afterMs: 30 * MINUTE,
      action: 'fail',
      reason: 'the installation took more than 30 minutes',
      hint: 'read BILLET_FAILURE lines on its console; then billet instance terminate ID',
    },
  ],
  bootstrapping: [
    {
      afterMs: 5 * MINUTE,
      action: 'signal',
      reason: 'not ready 5 minutes after first contact: a module cannot be pulled or verified',
      hint: 'billet instance show ID has its conditions; BILLET_FAILURE lines are on its console',
    },
    {
      afterMs: 30 * MINUTE,
      action: 'fail',
      reason: 'not ready 30 minutes after first contact',
      hint: 'billet instance terminate ID, then provision the node again',
    },
  ],
  draining: [
    {
      afterMs: 30 * MINUTE,
      action: 'signal',
      reason: 'not empty after 30 minutes: something would not move',
      hint: 'add capacity and wait, or billet instance terminate ID --force',
    },
  ],
  terminating: [
    {
      afterMs: 5 * MINUTE,
      action: 'signal',
      reason: 'the provider has not proven the machine gone in 5 minutes',
      hint: 'billet provider list; billet instance show ID has the provider’s answer',
    },
    {
      afterMs: HOUR,
      action: 'fail',
      reason: 'the provider has not proven the machine gone in an hour',
      hint: 'billet instance terminate ID to try again, or with --abandon to leave it as a leftover',
    },
  ],
};

const MANUAL: Deadlines = {
  installing: [
    {
      afterMs: HOUR,
      action: 'signal',
      reason: 'the installation takes more than an hour: it is switched off, or its disk fails',
      hint: 'billet instance show ID says how far it came; switch it on again, from the medium: it goes on there',
    },
    {
      afterMs: 24 * HOUR,
      action: 'fail',
      reason: 'the installation took more than 24 hours',
      hint: 'billet instance terminate ID, then create another',
    },
  ],
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
  draining: PROVIDED.draining ?? [],
  terminating: [
    { afterMs: 0, action: 'finish', reason: 'no machine of a provider to wait for', hint: '' },
  ],
};

/** Of a class that may be replaced: what failed is looked at for a while, then makes room. */
const FAILED_REPLACEABLE: readonly Deadline[] = [
  {
    afterMs: 10 * MINUTE,
    action: 'terminate',
    reason: 'failed for 10 minutes, and its class lets it be replaced',
    hint: 'billet events --subject instance/ID shows why it failed',
  },
];

export interface Waiting {
  readonly provider: ProviderKind;
  readonly lifecycleClass: LifecycleClass;
  readonly state: InstanceState;
  /** Unix milliseconds. */
  readonly stateSince: number;
  /** `afterMs` of the last deadline of this state that was signalled; 0 before. */
  readonly signalled: number;
  /** Seen empty: what comes next is for a person to say. */
  readonly drained?: boolean;
  /** `waits`: its node refused the install plan, or shows it only, and a person has to go on. */
  readonly install?: { readonly waits: boolean } | null;
}

/** In order of time. */
export function deadlinesOf({
  provider,
  lifecycleClass,
  state,
}: Pick<Waiting, 'provider' | 'lifecycleClass' | 'state'>): readonly Deadline[] {
  if (provider === 'manual') return MANUAL[state] ?? [];
  if (state === 'failed' && isReplaceable(lifecycleClass)) return FAILED_REPLACEABLE;
  return PROVIDED[state] ?? [];
}

/** Its installation waits for a person: that has no deadline, and shows. */
export const waitsForPlan = ({ state, install }: Pick<Waiting, 'state' | 'install'>): boolean =>
  state === 'installing' && install?.waits === true;

/** What is left of a state's deadlines: the newest one that is past and was not acted on, or null. */
export function dueDeadline(instance: Waiting, now: number): Deadline | null {
  if (instance.state === 'draining' && instance.drained) return null;
  if (waitsForPlan(instance)) return null;
  const due = deadlinesOf(instance).filter(
    ({ afterMs, action }) =>
      instance.stateSince + afterMs <= now && (action !== 'signal' || afterMs > instance.signalled),
  );
  return due.at(-1) ?? null;
}

const RETRY_FIRST_MS = 2_000;
/** The longest pause between two calls to a provider. */
export const RETRY_MAX_MS = 60_000;

/** How long to wait after so many calls to a provider that failed in a row. */
export const retryAfterMs = (attempts: number): number =>
  attempts === 0 ? 0 : Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempts - 1, 10));
