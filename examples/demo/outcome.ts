// How a program of these examples ends, and what it says then.

import { BilletError } from '#shared/errors.ts';
import type { View } from './view.ts';

const INTERRUPTED = 130;

/** Plays a scene; the exit code of its end, which `view` shows. `clear` runs whatever happened. */
export async function outcomeOf(
  view: View,
  signal: AbortSignal,
  { play, clear }: { readonly play: () => Promise<void>; readonly clear: () => Promise<void> },
): Promise<number> {
  try {
    await play();
    return 0;
  } catch (error) {
    if (signal.aborted) {
      view.text('\nStopped. Nothing is left running.');
      return INTERRUPTED;
    }
    const hint = error instanceof BilletError ? error.hint : 'please report this as a defect';
    view.problem(error instanceof Error ? error.message : String(error), hint);
    return 1;
  } finally {
    view.close();
    await clear();
  }
}
