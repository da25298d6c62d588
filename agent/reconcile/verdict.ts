// Which generation to run, and what to say of the one that runs. Pure: evidence in, verdict out.

import type { Verdict } from '#shared/schema/heartbeat.ts';

export interface Candidates<G extends { readonly generation: number }> {
  /** What the coordinator asks for. */
  readonly desired: G;
  /** Generations that failed here, as this node and the coordinator remember. */
  readonly rejected: readonly number[];
  /** To go back to, best first. */
  readonly fallbacks: readonly G[];
}

export interface Fallbacks<G> {
  /** The last good one, as this node remembers. */
  readonly here: G | null;
  /** The last good one, as the coordinator remembers. */
  readonly coordinator: G | null;
  /** The last that passed its probes, confirmed or not. */
  readonly passed: G | null;
}

/**
 * Best first. The coordinator confirms a generation before this node hears of it, and this node
 * may remember one that a restored coordinator has forgotten: the newer of the two is the better.
 */
export function rankFallbacks<G extends { readonly generation: number }>({
  here,
  coordinator,
  passed,
}: Fallbacks<G>): G[] {
  const confirmed = [here, coordinator].filter((each) => each !== null);
  confirmed.sort((a, b) => b.generation - a.generation);
  return passed === null ? confirmed : [...confirmed, passed];
}

/**
 * The wanted generation, or where it was rejected the best fallback. Without one the wanted
 * generation is tried again and again: a machine is never given up.
 */
export function chooseGeneration<G extends { readonly generation: number }>(
  candidates: Candidates<G>,
): G {
  const { desired, rejected, fallbacks } = candidates;
  const runnable = [desired, ...fallbacks].find(({ generation }) => !rejected.includes(generation));
  return runnable ?? desired;
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
