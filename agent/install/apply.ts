// Takes the steps of an installation in their order, each in the journal before the next begins. Decides
// nothing.

import type { InstallStep } from '#shared/schema/install-report.ts';
import { blame } from './blame.ts';
import type { InstallNews } from './report.ts';
import type { Step, StepContext } from './step.ts';
import { finish } from './steps/finish.ts';
import { format } from './steps/format.ts';
import { loader } from './steps/loader.ts';
import { partition } from './steps/partition.ts';
import { slot } from './steps/slot.ts';
import { state } from './steps/state.ts';
import { wipe } from './steps/wipe.ts';

const STEPS: Readonly<Record<InstallStep, Step>> = {
  ...{ wipe, partition, format, loader, slot, state, finish },
};

/** Throws what a step came to, with whose fault it is. The journal then says where to go on. */
export async function applySteps(
  context: StepContext,
  steps: readonly InstallStep[],
  news: Pick<InstallNews, 'step'>,
  signal: AbortSignal,
): Promise<void> {
  const { journal, ports, on } = context;
  // Taken again, a step takes those after it with it.
  let done = journal.record.done.filter((step) => !steps.includes(step));
  for (const step of steps) {
    await news.step(step);
    try {
      await STEPS[step](context, signal);
      done = [...done, step];
      await journal.note({ done });
    } catch (error) {
      signal.throwIfAborted();
      throw blame(error, { step, on, now: await ports.observeDisks() });
    }
  }
}
