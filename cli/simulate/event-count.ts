// Counts the events that one follower is sent, and how late they come. Keeps none of them.

import type { Coordinator } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { eventFeed } from '../event-feed.ts';

export interface EventCount {
  readonly delivered: number;
  /** Milliseconds from the time in each event to its arrival; both clocks on one machine. */
  readonly lateMs: readonly number[];
  /** Why it ended before its time; null while it follows. */
  readonly problem: string | null;
}

/** Follows from revision `after` on, until `signal` aborts. */
export function countEvents(
  io: CommandIo,
  coordinator: Coordinator,
  after: number,
  signal: AbortSignal,
): EventCount {
  const lateMs: number[] = [];
  const count = {
    lateMs,
    get delivered() {
      return lateMs.length;
    },
    problem: null as string | null,
  };
  const own: CommandIo = { ...io, signal };
  const follow = async () => {
    for await (const { at } of eventFeed(own, coordinator, { after, follow: true })) {
      lateMs.push(Math.max(0, io.clock.now() - Date.parse(at)));
      if (signal.aborted) return;
    }
  };
  follow().catch((error) => {
    if (!signal.aborted) count.problem = String(error);
  });
  return count;
}
