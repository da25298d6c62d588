// Orders for whole passes of the reconcile loop: who gave one is told when a pass that began after it has
// ended. Runs nothing itself.

import type { ModuleName } from '#shared/schema/module.ts';

interface Order {
  readonly restart: readonly ModuleName[];
  readonly ended: () => void;
}

export interface Orders {
  /** Resolves at the end of a pass that began after it; rejects with the signal's reason. */
  give(restart: readonly ModuleName[], signal: AbortSignal): Promise<void>;
  /** All that wait, at the beginning of a pass: what they want brought up anew, and whom to tell. */
  take(): Order;
}

export function orders(): Orders {
  let waiting: Order[] = [];
  return {
    give: (restart, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const order = { restart, ended: resolve };
        waiting.push(order);
        signal.addEventListener(
          'abort',
          () => {
            waiting = waiting.filter((one) => one !== order);
            reject(signal.reason);
          },
          { once: true },
        );
      }),
    take() {
      const taken = waiting;
      waiting = [];
      return {
        restart: [...new Set(taken.flatMap(({ restart }) => restart))],
        ended() {
          for (const one of taken) one.ended();
        },
      };
    },
  };
}
