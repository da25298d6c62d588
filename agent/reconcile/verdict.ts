// Which generation to run, and what to say of the one that runs. Pure: evidence in, verdict out.

import type { Verdict } from '#shared/schema/heartbeat.ts';

export interface Candidates<G extends { readonly generation: number }> {
  /** What the coordinator asks for. */
  readonly desired: G;
  /** Generations that failed here, as this node and the coordinator remember. */
  readonly rejected: readonly number[];
  /** To go back to, best first: last good here, last good at the coordinator, last that passed. */
  readonly fallbacks: readonly (G | null)[];
}

/**
 * The wanted generation, or where it was rejected the best fallback. Without one the wanted
 * generation is tried again and again: a machine is never given up.
 */
export function chooseGeneration<G extends { readonly generation: number }>(
  candidates: Candidates<G>,
): G {
  const { desired, rejected, fallbacks } = candidates;
  const runnable = [desired, ...fallbacks].filter(
    (each): each is G => each !== null && !rejected.includes(each.generation),
  );
  return runnable[0] ?? desired;
}

export interface Evidence {
  readonly generation: number;
  /** The running system is that of the generation, and not only staged for the next boot. */
  readonly booted: boolean;
  readonly probes: 'pending' | 'passed' | 'failed';
  /** Why it failed, for people. */
  readonly reason: string;
  /** The newest generation that the coordinator has seen ready. */
  readonly confirmed: number | null;
  /** It was good before: a later failure is a fault to mend, not a reason to go back. */
  readonly good: boolean;
  /** Whether there is another generation to go back to. */
  readonly fallback: boolean;
}

/** Null while there is nothing to say yet. */
export function judge(evidence: Evidence): Verdict | null {
  const { generation, booted, probes, reason, confirmed, good, fallback } = evidence;
  if (good) return { generation, verdict: 'good', reason: '' };
  if (probes === 'failed') return fallback ? { generation, verdict: 'rejected', reason } : null;
  if (probes === 'pending' || !booted) return null;
  return confirmed !== null && confirmed >= generation
    ? { generation, verdict: 'good', reason: '' }
    : { generation, verdict: 'unconfirmed', reason: 'the coordinator has not confirmed it' };
}
