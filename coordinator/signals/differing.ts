// Since when a node was seen to differ from what it should be, without a break and at one generation.
// In memory: after a start or a hand-over each node gets its whole time again.

import type { Clock } from '#shared/clock.ts';
import type { InstanceId } from '#shared/schema/ids.ts';
import type { Drift } from '#shared/schema/signal.ts';

export function differing(clock: Pick<Clock, 'monotonic'>) {
  const since = new Map<InstanceId, { readonly generation: number; readonly at: number }>();
  return {
    /** 0 when it does not differ, or is seen to do so for the first time. */
    sinceMs(instance: InstanceId, generation: number, drift: Drift | null): number {
      if (drift === null) {
        since.delete(instance);
        return 0;
      }
      const before = since.get(instance);
      if (before?.generation === generation) return clock.monotonic() - before.at;
      since.set(instance, { generation, at: clock.monotonic() });
      return 0;
    },
  };
}
