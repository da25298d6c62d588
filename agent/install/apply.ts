// Takes the steps of an installation in their order, each in the journal before the next begins. Which
// steps there are and whose fault a failure is, its profile says. Decides nothing.

import type { InstallStep } from '#shared/schema/install-report.ts';
import type { Blame } from './blame.ts';
import type { InstallNews } from './report.ts';
import type { StepContext, StepTable } from './step.ts';

/** What one kind of installation takes its steps by. */
export interface Procedure<Context extends StepContext> {
  readonly table: StepTable<Context>;
  readonly blame: Blame;
}

/** Throws what a step came to, with whose fault it is. The journal then says where to go on. */
export async function applySteps<Context extends StepContext>(
  context: Context,
  steps: readonly InstallStep[],
  { table, blame }: Procedure<Context>,
  news: Pick<InstallNews, 'step'>,
  signal: AbortSignal,
): Promise<void> {
  const { journal, ports, on } = context;
  // Taken again, a step takes those after it with it.
  let done = journal.record.done.filter((step) => !steps.includes(step));
  for (const step of steps) {
    await news.step(step);
    try {
      await table[step](context, signal);
      done = [...done, step];
      await journal.note({ done });
    } catch (error) {
      signal.throwIfAborted();
      throw blame(error, { step, on, now: await ports.observeDisks() });
    }
  }
}
