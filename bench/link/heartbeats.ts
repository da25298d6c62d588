// Heartbeats that a coordinator takes for one second of its CPU: over WebSocket, with mTLS, parsed,
// validated, compared with the last one, answered.

import type { Bench } from '../bench.ts';
import { median } from '../sample.ts';
import { withFleet } from './agents.ts';
import { reportOf } from './report.ts';

const AGENTS = 1_000;
const WARM_UP = 40_000;
const COUNT = 40_000;
const ROUNDS = 5;

export const heartbeats: Bench = {
  name: 'link/heartbeats',
  limitMs: 180_000,
  needsArtifacts: false,
  run: (context) =>
    withFleet(context, { enrolled: AGENTS, new: 0 }, async ({ coordinator, agents }) => {
      await agents.connect({ from: 0, to: AGENTS });
      await agents.flood(WARM_UP);
      const rates: number[] = [];
      const walls: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        context.signal.throwIfAborted();
        const start = context.clock.monotonic();
        const { cpuMs } = await coordinator.during(() => agents.flood(COUNT));
        rates.push((COUNT * 1000) / cpuMs);
        walls.push((COUNT * 1000) / (context.clock.monotonic() - start));
      }
      const bytes = Buffer.byteLength(JSON.stringify(reportOf(1, 1)));
      return [
        {
          name: 'heartbeats for a CPU second of server',
          value: median(rates),
          unit: '/s',
          target: { at: 'least', value: 25_000 },
          note: `${bytes} bytes each, ${AGENTS} agents that send when they have a reply; median of ${ROUNDS} × ${COUNT}, from ${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}; all threads of the coordinator, kernel time included`,
        },
        {
          name: 'the same, by the wall clock',
          value: median(walls),
          unit: '/s',
          target: null,
          note: 'the agents share the machine with the coordinator',
        },
      ];
    }),
};
