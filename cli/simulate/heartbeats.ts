// Heartbeats of all agents at their interval, spread evenly, for some time. Sends them; says nothing of
// what they mean.

import type { Clock } from '#shared/clock.ts';
import { type Phase, phaseOf } from './phase.ts';
import type { SimAgent } from './sim-agent.ts';

const TICK_MS = 20;

export async function heartbeats(
  agents: readonly Pick<SimAgent, 'beat'>[],
  { seconds, intervalSeconds }: { readonly seconds: number; readonly intervalSeconds: number },
  io: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly say: (text: string) => void;
  },
): Promise<Phase> {
  const { clock, signal } = io;
  const times: number[] = [];
  const running = new Set<Promise<void>>();
  let failed = 0;
  let sent = 0;
  const since = clock.monotonic();
  const rate = agents.length / (intervalSeconds * 1000);
  for (let now = since; now - since < seconds * 1000; now = clock.monotonic()) {
    for (const due = Math.floor((now - since) * rate); sent < due; sent += 1) {
      const agent = agents[sent % agents.length];
      if (agent === undefined) break;
      const one: Promise<void> = agent
        .beat()
        .then(
          (ms) => void times.push(ms),
          () => {
            failed += 1;
          },
        )
        .finally(() => running.delete(one));
      running.add(one);
    }
    io.say(`heartbeats: ${times.length} answered`);
    await clock.sleep(TICK_MS, signal);
  }
  const took = clock.monotonic() - since;
  await Promise.all(running);
  return { ...phaseOf(times, took), failed };
}
