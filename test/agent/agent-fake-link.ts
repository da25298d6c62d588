// The agent's real link against the fake coordinator, on a clock that is a hundred times as fast.

import { setTimeout } from 'node:timers/promises';
import type { Log } from '../../agent/drivers/journal.ts';
import { type DaemonLink, openLink } from '../../agent/link/link.ts';
import { type Clock, systemClock } from '../../shared/clock.ts';
import { FACTS, heartbeatOf } from '../coordinator/coordinator-fixture.ts';
import type { FakeCoordinator } from './agent-fake-coordinator.ts';

const FASTER = 100;

export const fastClock: Clock = {
  now: systemClock.now,
  monotonic: () => systemClock.monotonic() * FASTER,
  // Up to 2³¹ ms: what waits for days does not wait for a moment.
  sleep: (ms, signal) => setTimeout(Math.min(ms, 2 ** 31 - 1) / FASTER, undefined, { signal }),
};

export interface FakeLink {
  readonly link: DaemonLink;
  /** What was logged. */
  readonly lines: readonly string[];
  /** Replies to heartbeats, of either way. */
  readonly replies: () => number;
  stop(): Promise<void>;
}

export async function linkTo(
  fake: FakeCoordinator,
  stateDir: string,
  { clock = fastClock, random = Math.random }: { clock?: Clock; random?: () => number } = {},
): Promise<FakeLink> {
  const stop = new AbortController();
  const lines: string[] = [];
  let replies = 0;
  const log: Log = {
    info: (message) => lines.push(message),
    warn: (message) => lines.push(message),
    fail: (error) => lines.push(String(error)),
    close: async () => undefined,
  };
  const link = await openLink({
    ...{ clock, random, log, stateDir, enrolled: fake.enrolled },
    host: {
      facts: async () => FACTS,
      vitals: async () => ({ uptimeSeconds: 1 }),
      bootId: async () => heartbeatOf().bootId,
    },
    buildHeartbeat: async () => heartbeatOf({ phase: 'ready' }),
    onReply: () => {
      replies += 1;
    },
    onDesired: () => undefined,
    onTasks: () => undefined,
  });
  const running = link.run(stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) lines.push(`died: ${error}`);
  });
  return {
    link,
    lines,
    replies: () => replies,
    async stop() {
      stop.abort();
      await running;
      await link.session().close();
    },
  };
}
