// Group commit: what is asked for in one turn of the event loop becomes one transaction, and so one
// sync of the disk. Knows no SQL.

import { setImmediate } from 'node:timers/promises';

const MAX_BATCH = 256;

export interface Batch<Job, Result> {
  /** Resolves once the transaction that did `job` is durable; rejects when it was rolled back. */
  submit(job: Job): Promise<Result>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
}

/**
 * `run` does all jobs in one transaction and returns a result for each, in order. It comes after `turn`:
 * what is asked for until then is part of it.
 */
export function batch<Job, Result>(
  run: (jobs: readonly Job[]) => Result[],
  turn: () => Promise<void> = setImmediate,
): Batch<Job, Result> {
  let queue: { job: Job; settle: PromiseWithResolvers<Result> }[] = [];
  let working: Promise<void> | null = null;

  async function work(): Promise<void> {
    while (queue.length > 0) {
      await turn();
      const jobs = queue.slice(0, MAX_BATCH);
      queue = queue.slice(MAX_BATCH);
      try {
        const results = run(jobs.map(({ job }) => job));
        for (const [at, { settle }] of jobs.entries()) settle.resolve(results[at] as Result);
      } catch (error) {
        for (const { settle } of jobs) settle.reject(error);
      }
    }
    working = null;
  }

  return {
    submit(job) {
      const settle = Promise.withResolvers<Result>();
      queue.push({ job, settle });
      working ??= work();
      return settle.promise;
    },
    idle: async () => working ?? undefined,
  };
}
