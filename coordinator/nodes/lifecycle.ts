// The states of an instance and what may happen to it, as data and pure functions: which state may
// follow which, and where each happening leads. Reads no clock and writes no record; how long a state
// may last is in lifecycle-deadlines.ts.

import { BilletError } from '#shared/errors.ts';
import type { LifecycleClass } from '#shared/schema/class.ts';
import type { InstanceState } from '#shared/schema/records.ts';

/** From DESIGN's "Lifecycle of an instance": any live state may also become failed. */
export const FOLLOWS: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  pending: ['provisioning', 'bootstrapping', 'terminating', 'failed'],
  provisioning: ['installing', 'bootstrapping', 'terminating', 'failed'],
  installing: ['bootstrapping', 'terminating', 'failed'],
  bootstrapping: ['installing', 'running', 'terminating', 'failed'],
  running: ['installing', 'bootstrapping', 'draining', 'terminating', 'failed'],
  draining: ['running', 'terminating', 'failed'],
  failed: ['terminating'],
  terminating: ['terminated', 'failed'],
  terminated: [],
};

/** What can happen to an instance, whoever or whatever makes it happen. */
export type Happening =
  /** A provider is about to be asked for the machine. */
  | 'provision'
  /** The machine writes its system to a disk: it has enrolled by then, and may have run before. */
  | 'install'
  /** That is done: it starts from there next. */
  | 'installed'
  /** The machine enrolled: first contact, or another boot. */
  | 'contact'
  /** The machine was seen ready on its generation. */
  | 'ready'
  /** A node takes it from a warm pool: it is to become what that node should be. */
  | 'claim'
  | 'drain'
  /** A drain was taken back. */
  | 'resume'
  /** A person, or the rule of its class, ends it. */
  | 'terminate'
  /** A deadline ran out, or the provider lost the machine. */
  | 'fail'
  /** The provider proved that no machine is left. */
  | 'gone';

const LEADS_TO: Readonly<Record<Happening, InstanceState>> = {
  provision: 'provisioning',
  install: 'installing',
  installed: 'bootstrapping',
  contact: 'bootstrapping',
  ready: 'running',
  claim: 'bootstrapping',
  drain: 'draining',
  resume: 'running',
  terminate: 'terminating',
  fail: 'failed',
  gone: 'terminated',
};

/** Where a happening makes sense although the state that it leads to may follow others, too. */
const ONLY_FROM: Partial<Readonly<Record<Happening, readonly InstanceState[]>>> = {
  installed: ['installing'],
  contact: ['pending', 'provisioning', 'installing'],
  ready: ['bootstrapping'],
  claim: ['running'],
  resume: ['draining'],
};

/** The state after `happening`; the same state when it means nothing there. */
export function after(state: InstanceState, happening: Happening): InstanceState {
  const next = LEADS_TO[happening];
  const allowed = ONLY_FROM[happening]?.includes(state) ?? true;
  return allowed && FOLLOWS[state].includes(next) ? next : state;
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

/**
 * Whether ending it now loses work that a drain would save: it has been ready, and was not proven
 * empty since. What waits in a pool has none.
 */
export const needsDrain = (instance: {
  readonly state: InstanceState;
  readonly drained: boolean;
  readonly pool: string | null;
}): boolean =>
  (instance.state === 'running' || instance.state === 'draining') &&
  !instance.drained &&
  instance.pool === null;

/** Whether an instance of that class may be destroyed, and its node get another, by rule alone. */
export const isReplaceable = (lifecycleClass: LifecycleClass): boolean =>
  lifecycleClass !== 'persistent';
