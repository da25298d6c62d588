// Heartbeats at a fixed rate, each agent in its turn, whatever the replies do: a late reply delays no
// other heartbeat, and a heartbeat that goes out late counts from when it was due.

import { systemClock } from '#shared/clock.ts';
import type { AgentChannel } from './agent-channel.ts';

export interface Paced {
  readonly count: number;
  /** Milliseconds from when each was due to its reply, ascending. */
  readonly latencies: Float64Array;
  /** How late each went out, ascending: of the load generator, not of the coordinator. */
  readonly lateness: Float64Array;
}

/** Resolves when all are answered. Rejects with the first that is not. */
export async function paced(
  channels: readonly AgentChannel[],
  perSecond: number,
  seconds: number,
): Promise<Paced> {
  const total = Math.round(perSecond * seconds);
  const latencies = new Float64Array(total);
  const lateness = new Float64Array(total);
  const replies: Promise<void>[] = [];
  const start = systemClock.monotonic();
  const never = new AbortController().signal;
  for (let sent = 0; sent < total; ) {
    const now = systemClock.monotonic();
    for (; sent < total; sent += 1) {
      const at = sent;
      const due = start + (at * 1000) / perSecond;
      if (due > now) break;
      lateness[at] = systemClock.monotonic() - due;
      const agent = channels[at % channels.length];
      if (agent)
        replies.push(
          agent.beat(due).then((ms) => {
            latencies[at] = ms;
          }),
        );
    }
    await systemClock.sleep(1, never);
  }
  await Promise.all(replies);
  return { count: total, latencies: latencies.sort(), lateness: lateness.sort() };
}

/** Of ascending values. */
export const percentile = (sorted: Float64Array, percent: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1)] ?? Number.NaN;
