// What sensors find, and whether it can be told, as data; and silence, the first thing to notice. Pure:
// what was observed and the time go in, what was found comes out. Drift and stuck have folders of their
// own, with rules like these.

import type { InstanceId, NodeName } from '#shared/schema/ids.ts';
import type { InstanceState } from '#shared/schema/records.ts';
import type { Drift, RemedyStep } from '#shared/schema/signal.ts';
import { isoTime } from '../ids.ts';

/** Something that is so now. */
export interface Finding {
  /** Equal for two findings that are the same. */
  readonly fingerprint: string;
  readonly text: string;
  /** The likely cause. */
  readonly cause: string;
  /** The next command. */
  readonly hint: string;
  readonly drift: Drift | null;
  /** What may be tried, one after the other. */
  readonly steps: readonly RemedyStep[];
}

/** clear: it is not so, and why; unknown: it cannot be told now, and what is known stays. */
export type Sight =
  | { readonly is: 'found'; readonly finding: Finding }
  | { readonly is: 'clear'; readonly why: string }
  | { readonly is: 'unknown' };

export interface Limits {
  readonly silentAfterMs: number;
  /** How long a node may take to bring its modules to what they should be, once it knows. */
  readonly driftAfterMs: number;
}

export interface Moment {
  /** Unix milliseconds. */
  readonly now: number;
  /** For how long this coordinator has led, with a clock that did not jump. */
  readonly steadyMs: number;
}

/** An instance as far as silence is concerned. */
export interface Speaker {
  readonly id: InstanceId;
  readonly node: NodeName | null;
  readonly state: InstanceState;
  readonly stateSince: number;
  /** Null when it was never seen. */
  readonly lastSeenAt: number | null;
  readonly isQuiet: boolean;
  /** Its key is gone with its memory: without a token it does not come back from a boot. */
  readonly needsToken: boolean;
  readonly bootOrdered: boolean;
  /** Its pool or class: what tends to fail together. */
  readonly group: string;
}

/** How many of a group are silent at once. */
export interface Together {
  readonly silent: number;
  readonly of: number;
}

/** What a cause begins with: its code. The rest may be worded anew each time. */
export const headOf = (cause: string): string => cause.split(':')[0] ?? '';

export const UNKNOWN: Sight = { is: 'unknown' };
export const clear = (why: string): Sight => ({ is: 'clear', why });

/** In these an agent is expected to speak. Before, the deadlines of its state watch over it. */
const speaks = (state: InstanceState): boolean => state === 'running' || state === 'draining';

export const silentSince = ({ lastSeenAt, stateSince }: Speaker): number =>
  Math.max(lastSeenAt ?? 0, stateSince);

/** One alone is its own trouble; from this part of a group on it is the group's. */
const TOGETHER = 0.1;

/** Of each group of those that should speak. */
export function silentTogether(
  all: readonly Speaker[],
  { now }: Moment,
  { silentAfterMs }: Limits,
): ReadonlyMap<string, Together> {
  const groups = new Map<string, { silent: number; of: number }>();
  for (const one of all.filter(({ state }) => speaks(state))) {
    const group = groups.get(one.group) ?? { silent: 0, of: 0 };
    groups.set(one.group, group);
    group.of += 1;
    if (now - silentSince(one) >= silentAfterMs && !one.isQuiet) group.silent += 1;
  }
  return groups;
}

export function silentSight(
  one: Speaker,
  { now, steadyMs }: Moment,
  limits: Limits,
  together?: Together,
): Sight {
  if (!speaks(one.state)) return clear(`it is ${one.state}`);
  const since = silentSince(one);
  if (now - since < limits.silentAfterMs) return clear('it is heard again');
  if (one.isQuiet) return clear('no heartbeat is expected for a while');
  // After a start, a hand-over or a jump everybody looks silent.
  if (steadyMs < limits.silentAfterMs) return UNKNOWN;
  return { is: 'found', finding: silence(one, since, together) };
}

function silence(
  { id, node, needsToken, bootOrdered, group }: Speaker,
  since: number,
  together: Together = { silent: 1, of: 1 },
): Finding {
  const { silent, of } = together;
  const isShared = silent > Math.max(1, of * TOGETHER);
  const asksForToken = needsToken && !bootOrdered;
  const alone = 'its machine, its agent or the way to it is down';
  const waits = `${alone}; after a boot of its own accord it waits for a token, as its key was in memory`;
  const shared = `${silent} of ${of} in ${group} are silent: what they share is down, or the way to it`;
  const token = `if it was booted, billet signal approve ${id}.silent lets the next boot have a token`;
  return {
    fingerprint: 'silent',
    text: `no heartbeat of ${node ?? id} since ${isoTime(since)}`,
    cause: isShared ? shared : asksForToken ? waits : alone,
    hint: isShared
      ? 'look at their network, power and host first: billet signal list --topic silent'
      : `look at its console and its network; ${asksForToken ? token : 'on the node: systemctl restart billet-agent.service'}`,
    drift: null,
    steps: asksForToken ? ['boot'] : [],
  };
}
