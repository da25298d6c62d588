// What comes next for an instance and its machine: pure functions of the record, of what its provider
// shows, and of a time. Asks nobody and writes nothing.

import type { MachineState } from '#shared/schema/provider.ts';
import type { InstanceState } from '#shared/schema/records.ts';
import { isReplaceable } from '../nodes/lifecycle.ts';
import { RETRY_MAX_MS } from '../nodes/lifecycle-deadlines.ts';
import type { InstanceRecord } from '../nodes/records.ts';

/** Before anybody is asked. begin: record that the provider is about to be; close: without proof. */
export type Turn = 'begin' | 'look' | 'close' | 'none';

/** A machine that should run is looked at this often. */
export const LOOK_EVERY_MS = 60_000;

export function turnOf(record: InstanceRecord, now: number): Turn {
  const { state, machine } = record;
  if (machine === null || state === 'terminated') return 'none';
  if (state === 'terminating' && machine.abandoned) return 'close';
  const waitMs = machine.retryAt - now;
  // Further away than any pause: the clock jumped back.
  if (waitMs > 0 && waitMs <= RETRY_MAX_MS) return 'none';
  return state === 'pending' ? 'begin' : 'look';
}

/** Whether it is looked at as often as there is time, because something is to become of it. */
export const isMoving = ({ state, preemption }: InstanceRecord): boolean =>
  MOVING.has(state) || (preemption !== null && state !== 'terminated');

const MOVING = new Set<InstanceState>(['pending', 'provisioning', 'terminating']);

/**
 * After a look. make: ask for the machine, or switch it on again; lost: there was one, and now there
 * is proof of none; taken: its provider took it away, as it had said; note: record what was seen.
 */
export type Act = 'make' | 'destroy' | 'lost' | 'taken' | 'note' | 'none';

export function actOn(record: InstanceRecord, seen: MachineState): Act {
  const { state, machine } = record;
  const news = machine?.state !== seen || machine.fault !== null ? 'note' : 'none';
  switch (state) {
    case 'provisioning':
      return seen === 'running' ? news : 'make';
    case 'installing':
    case 'bootstrapping':
    case 'running':
    case 'draining':
      if (seen !== 'running' && isTakenAway(record)) return 'taken';
      if (seen === 'absent') return 'lost';
      return seen === 'running' ? news : 'make';
    case 'terminating':
      // Also what is absent: a creation that still hangs must not make it after all.
      return 'destroy';
    case 'failed':
      return news;
    case 'pending':
    case 'terminated':
      return 'none';
  }
}

/** What its provider takes away is not switched on again. */
const isTakenAway = ({ lifecycleClass, preemption }: InstanceRecord): boolean =>
  preemption !== null && isReplaceable(lifecycleClass);

/**
 * Whether its node gets another one by rule: not what never worked, or one that cannot work would be
 * made again and again.
 */
export const isReplacedWhenLost = (record: InstanceRecord): boolean =>
  isReplaceable(record.lifecycleClass) && record.goods.length > 0;
