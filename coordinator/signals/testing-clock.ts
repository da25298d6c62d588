// A clock in the test's hand: time passes when it is told to, and the wall clock jumps alone. For tests
// only.

import type { Clock } from '#shared/clock.ts';

export interface LiveClock extends Clock {
  forward(ms: number): void;
  jump(ms: number): void;
}

export function liveClock(start = Date.UTC(2026, 10, 21)): LiveClock {
  let [passed, jumped] = [0, 0];
  return {
    now: () => start + passed + jumped,
    monotonic: () => passed,
    sleep: (_, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
    forward(ms) {
      passed += ms;
    },
    jump(ms) {
      jumped += ms;
    },
  };
}
