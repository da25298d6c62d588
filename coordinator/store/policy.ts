// When history is forgotten. Pure: an engine asks after each batch of commits and does the deleting.

export interface Retention {
  /** Revisions whose history stays: how far behind a watcher may come back. */
  readonly keep: number;
  /** Revisions forgotten at a time, so that no single commit pays for much. */
  readonly step: number;
}

export const RETENTION: Retention = { keep: 100_000, step: 1_000 };

/** The revision before which to compact now; null while there is less than a step to forget. */
export function compactionTarget(
  head: number,
  compacted: number,
  { keep, step }: Retention,
): number | null {
  const target = head - keep;
  return target - compacted >= step ? target : null;
}
