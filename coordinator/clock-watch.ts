// Whether the wall clock can be believed: it is watched against the monotonic one, and after a jump
// nothing is given up, let go or deleted by the time of day for a while. Sets no clock.

import type { Clock } from '#shared/clock.ts';
import type { Log } from './log.ts';

export interface ClockWatch {
  /** For how long both clocks have gone in step, as far as this process saw. */
  steadyMs(): number;
}

/** More than any slewing makes of it between two looks, less than what a lease is long. */
const JUMP_MS = 30_000;

/** A suspended machine counts as a jump: its wall clock went on, and nobody could report. */
export function clockWatch({ clock, log }: { clock: Clock; log: Log }): ClockWatch {
  let since = clock.monotonic();
  let offset = clock.now() - since;
  return {
    steadyMs() {
      const monotonic = clock.monotonic();
      const jumped = clock.now() - monotonic - offset;
      offset += jumped;
      if (Math.abs(jumped) > JUMP_MS) {
        since = monotonic;
        log.warn('the clock of this machine jumped: deadlines wait until it is steady', {
          seconds: Math.round(jumped / 1000),
          hint: 'look at its time synchronization: timedatectl',
        });
      }
      return monotonic - since;
    },
  };
}
