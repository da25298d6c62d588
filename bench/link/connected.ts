// 5,000 connected agents: what each costs in memory while it says nothing, and how quickly they are
// answered at the rate of 100,000 that report every 30 s.

import type { Bench } from '../bench.ts';
import { withFleet } from './agents.ts';

const AGENTS = 5_000;
/** Connected and gone again before the first look at the memory: code and pools are there by then. */
const WARM_UP = 250;
const PER_SECOND = 3_333;
/** Longer than the coordinator's own rounds of 30 s, so that one is in it. */
const SECONDS = 35;

export const connected: Bench = {
  name: 'link/connected',
  limitMs: 240_000,
  needsArtifacts: false,
  run: (context) =>
    withFleet(context, { enrolled: AGENTS + WARM_UP, new: 0 }, async ({ coordinator, agents }) => {
      await agents.connect({ from: AGENTS, to: AGENTS + WARM_UP });
      await agents.disconnect();
      const before = await coordinator.held();
      context.progress(`connecting ${AGENTS} agents …`);
      await agents.connect({ from: 0, to: AGENTS });
      const after = await coordinator.held();
      context.progress(`${PER_SECOND} heartbeats a second, for ${SECONDS} s …`);
      await agents.pace(PER_SECOND, 2);
      const { cpuMs, queuedMs, result } = await coordinator.during(() =>
        agents.pace(PER_SECOND, SECONDS),
      );
      const each = (bytes: number) => bytes / AGENTS / 1000;
      const heap = each(after.heapBytes - before.heapBytes);
      const percent = (ms: number) => (ms / SECONDS / 10).toFixed(0);
      return [
        {
          name: `reply to one of ${PER_SECOND.toLocaleString('en')} a second, p99`,
          value: result.p99,
          unit: 'ms',
          target: { at: 'most', value: 50 },
          note: `${AGENTS} agents, ${result.count} heartbeats, each counted from when it was due; p50 ${result.p50.toFixed(1)} ms, p99.9 ${result.p999.toFixed(0)} ms; 99 % were sent within ${result.late99.toFixed(1)} ms; coordinator ${percent(cpuMs)} % of a core, and ${percent(queuedMs)} % of the time in the queue for one; all agents in one process on the same machine`,
        },
        {
          name: 'memory for an idle connected agent',
          value: each(after.rssBytes - before.rssBytes),
          unit: 'KB',
          target: { at: 'most', value: 100 },
          note: `resident memory after collections, with ${AGENTS} agents less without; of that ${heap.toFixed(0)} KB of heap; each has sent a heartbeat`,
        },
      ];
    }),
};
