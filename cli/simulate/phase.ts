// What a phase of a simulation came to. Figures only.

/** Times in milliseconds, null where nothing was timed. */
export interface Phase {
  readonly count: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** Of one: from its request to its answer, from the change to the agent, from the event to its reader. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly failed: number;
}

/** `times` of each that worked, in `tookMs` altogether. */
export function phaseOf(times: readonly number[], tookMs: number): Phase {
  const seconds = tookMs / 1000;
  return {
    count: times.length,
    seconds,
    perSecond: seconds === 0 ? 0 : times.length / seconds,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    failed: 0,
  };
}

/** The value below which a share (0 to 1) of the others is; null of none. */
function quantile(values: readonly number[], share: number): number | null {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}
