// Keeps rollouts going: those that were begun before a start, and each new one at once. Decides
// nothing; one step is in rollout.ts.

import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Log } from '../log.ts';
import type { Records } from '../records.ts';
import { finishRollouts } from './rollout.ts';

const RETRY_MS = 5_000;

/** Until `signal` aborts. Any number of coordinators may do this at once. */
export async function followRollouts(
  deps: { readonly records: Records; readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { records, clock, log } = deps;
  while (!signal.aborted)
    try {
      const { revision } = await records.rollouts.list({ limit: 1 });
      await finishRollouts(records, signal);
      for await (const { changes } of records.rollouts.watch(revision, signal))
        if (changes.some(({ record }) => record?.after === ''))
          await finishRollouts(records, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof BilletError && error.code === 'COMPACTED'))
        log.error('a rollout failed, and goes on soon', { why: String(error) });
      await clock.sleep(RETRY_MS, signal).catch(() => null);
    }
}
