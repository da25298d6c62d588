// How a warm pool comes to the number of ready instances that it should have: a pure function of what
// there is. Asks nobody and writes nothing.

import type { InstanceId } from '#shared/schema/ids.ts';
import type { InstanceState } from '#shared/schema/records.ts';

/** An instance that waits in the pool. */
export interface Waiting {
  readonly id: InstanceId;
  readonly state: InstanceState;
  /** Whether it is what a new one would be: template, boot image, size and provider. */
  readonly current: boolean;
  readonly createdAt: number;
}

export interface PoolSteps {
  /** How many to make. */
  readonly make: number;
  readonly end: readonly InstanceId[];
}

const NOTHING: PoolSteps = { make: 0, end: [] };

/**
 * `room` is how many machines the provider may still have. What has failed keeps its place until it
 * was looked at, so that what cannot work is not made again and again. Outdated ones are replaced one
 * at a time, and only while all others are ready.
 */
export function planPool(wanted: number, all: readonly Waiting[], room: number): PoolSteps {
  const members = all.filter(({ state }) => state !== 'terminating' && state !== 'terminated');
  const missing = wanted - members.length;
  if (missing > 0) return { make: Math.max(0, Math.min(missing, room)), end: [] };
  if (missing < 0) return { make: 0, end: [...members].sort(byWorth).slice(0, -missing).map(idOf) };
  // What ends has to be gone first: its machine counts for the provider's quota.
  const isSettled = members.length === all.length && members.every(isReadyOrOutdated);
  const outdated = members.filter(({ current }) => !current).sort(byWorth)[0];
  return isSettled && outdated ? { make: 0, end: [outdated.id] } : NOTHING;
}

const isReadyOrOutdated = ({ state, current }: Waiting) => state === 'running' || !current;

/** First what is missed least: outdated, failed, not yet ready, the newest. */
const byWorth = (a: Waiting, b: Waiting): number =>
  worth(a) - worth(b) || b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1);

function worth({ state, current }: Waiting): number {
  if (state === 'failed') return 0;
  if (state !== 'running') return current ? 2 : 1;
  return current ? 4 : 3;
}

const idOf = ({ id }: Waiting) => id;
