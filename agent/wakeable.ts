// A sleep that others can end early. A wake while nobody sleeps ends the next sleep at once.

import type { Clock } from '#shared/clock.ts';

export interface Wakeable {
  wake(): void;
  /** Resolves after `ms` or a wake; rejects with the signal's reason. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export function wakeable(clock: Clock): Wakeable {
  let woken = false;
  let sleeper: AbortController | null = null;
  return {
    wake() {
      woken = true;
      sleeper?.abort();
    },
    async sleep(ms, signal) {
      signal.throwIfAborted();
      if (!woken) {
        sleeper = new AbortController();
        try {
          await clock.sleep(ms, AbortSignal.any([signal, sleeper.signal]));
        } catch (error) {
          signal.throwIfAborted();
          if (!woken) throw error;
        } finally {
          sleeper = null;
        }
      }
      woken = false;
    },
  };
}
