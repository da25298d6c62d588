// Who counts as lost, and what a notice of preemption asks for: pure functions of what is recorded and
// of a time. Asks nobody and writes nothing.

import type { LifecycleClass } from '#shared/schema/class.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { InstanceState } from '#shared/schema/records.ts';
import { isReplaceable } from '../../nodes/lifecycle.ts';

const MINUTE_MS = 60_000;

/** Twice what `instance.silent` waits: whoever is told by that signal can act first. */
export const LOST_AFTER_MS = 10 * MINUTE_MS;
/** Of a group, silent together: more is the network's fault, or ours, and nothing is destroyed. */
const TOGETHER_PERCENT = 10;

/** An instance with a machine, as far as silence is concerned. */
export interface Watched {
  readonly id: InstanceId;
  /** Its pool, or else its provider: what tends to fail together. */
  readonly group: string;
  readonly state: InstanceState;
  readonly lifecycleClass: LifecycleClass;
  /** Whether it was ever seen ready: what never worked would be made again and again. */
  readonly worked: boolean;
  /** Unix milliseconds; null when it was never seen. */
  readonly lastSeenAt: number | null;
  readonly stateSince: number;
  /** No heartbeat is expected of it for a while. */
  readonly isQuiet: boolean;
}

/** Too many of a group at once. */
export interface Held {
  readonly group: string;
  readonly silent: number;
  readonly of: number;
}

export interface Losses {
  /** To be ended, and their nodes to get others once their machines are proven gone. */
  readonly lost: readonly InstanceId[];
  /** Left alone, for a person to look at. */
  readonly held: readonly Held[];
}

/** In these an agent is expected to speak. */
const speaks = (state: InstanceState): boolean => state === 'running' || state === 'draining';

/** Since when nothing was heard of it. */
const silentSince = ({ lastSeenAt, stateSince }: Watched): number =>
  Math.max(lastSeenAt ?? 0, stateSince);

/**
 * `steadyMs`: for how long this coordinator has led with a clock that did not jump. Before a whole
 * period of that, everybody looks silent and nobody is lost.
 */
export function lossesOf(all: readonly Watched[], now: number, steadyMs: number): Losses {
  if (steadyMs < LOST_AFTER_MS) return { lost: [], held: [] };
  const lost: InstanceId[] = [];
  const held: Held[] = [];
  const expected = all.filter(({ state, isQuiet }) => speaks(state) && !isQuiet);
  for (const [group, members] of groupsOf(expected)) {
    const silent = members.filter((one) => silentSince(one) + LOST_AFTER_MS <= now);
    const most = Math.max(1, Math.floor((members.length * TOGETHER_PERCENT) / 100));
    const isTogether = (one: Watched) => together(one, silent).length > most;
    const replaceable = silent.filter(
      ({ lifecycleClass, worked }) => isReplaceable(lifecycleClass) && worked,
    );
    for (const one of replaceable) if (!isTogether(one)) lost.push(one.id);
    if (replaceable.some(isTogether))
      held.push({ group, silent: silent.length, of: members.length });
  }
  return { lost, held };
}

/** Those that fell silent within one period of it, itself included. */
const together = (one: Watched, silent: readonly Watched[]): readonly Watched[] =>
  silent.filter((other) => Math.abs(silentSince(other) - silentSince(one)) < LOST_AFTER_MS);

function groupsOf(all: readonly Watched[]): ReadonlyMap<string, readonly Watched[]> {
  const groups = new Map<string, Watched[]>();
  for (const one of all) {
    const members = groups.get(one.group);
    if (members) members.push(one);
    else groups.set(one.group, [one]);
  }
  return groups;
}

/** The provider takes the machine away at `endsAt`, Unix milliseconds. */
export interface Preemption {
  readonly noticedAt: number;
  readonly endsAt: number;
}

/** What is left of the notice for the machine's end: its certificate, tokens and leftovers. */
const END_BEFORE_MS = 10_000;

/** How long a drain that is ordered now may take. */
export const drainSeconds = ({ endsAt }: Preemption, now: number): number =>
  Math.max(1, Math.floor((endsAt - END_BEFORE_MS - now) / 1000));

/**
 * After a notice. drain: take its work off it; end: nothing is left to save, or no time; its node
 * gets another instance as soon as the machine is proven gone.
 */
export type PreemptionTurn = 'drain' | 'end' | 'none';

/** A persistent instance is left to a person, who is told: the notice is an event. */
export function preemptionTurn(
  instance: {
    readonly state: InstanceState;
    readonly lifecycleClass: LifecycleClass;
    readonly drained: boolean;
    readonly preemption: Preemption | null;
  },
  now: number,
): PreemptionTurn {
  const { state, lifecycleClass, drained, preemption } = instance;
  if (preemption === null || !isReplaceable(lifecycleClass)) return 'none';
  if (state === 'terminating' || state === 'terminated') return 'none';
  if (now >= preemption.endsAt - END_BEFORE_MS) return 'end';
  if (state === 'running') return 'drain';
  // Nothing that a drain would save is on a machine that never was ready.
  return state !== 'draining' || drained ? 'end' : 'none';
}
