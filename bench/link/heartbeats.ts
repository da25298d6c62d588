// Heartbeats that a coordinator takes for one second of its CPU: over WebSocket, with mTLS, parsed,
// validated, compared with the last one, answered.

import type { Bench } from '../bench.ts';
import { median } from '../sample.ts';
import { withFleet } from './agents.ts';
import { reportOf } from './report.ts';

const AGENTS = 500;
const WARM_UP = 40_000;
const COUNT = 25_000;
const ROUNDS = 7;

export const heartbeats: Bench = {
  name: 'link/heartbeats',
  limitMs: 180_000,
  needsArtifacts: false,
  run: (context) =>
    withFleet(context, { enrolled: AGENTS, new: 0 }, ({ withBareServer, ...real }) =>
      withBareServer(async (bare) => {
        for (const { agents } of [real, bare]) {
          await agents.connect({ from: 0, to: AGENTS });
          await agents.flood(WARM_UP);
        }
        const rates: number[] = [];
        const bareRates: number[] = [];
        // In turn: what slows the machine down for a while slows both.
        for (let round = 0; round < ROUNDS; round += 1)
          for (const [{ coordinator, agents }, list] of [
            [real, rates],
            [bare, bareRates],
          ] as const) {
            context.signal.throwIfAborted();
            const { cpuMs } = await coordinator.during(() => agents.flood(COUNT));
            list.push((COUNT * 1000) / cpuMs);
          }
        const bytes = Buffer.byteLength(JSON.stringify(reportOf(1, 1)));
        return [
          {
            name: 'heartbeats for a CPU second of server',
            value: median(rates),
            unit: '/s',
            target: { at: 'least', value: 25_000 },
            yardstick: { name: 'ws over the same TLS, a fixed reply', value: median(bareRates) },
            note: `${bytes} bytes each, ${AGENTS} agents that send when they have a reply; in turn, medians of ${ROUNDS} × ${COUNT}, from ${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}; all threads and the kernel's time for them; the agents keep the other core busy`,
          },
        ];
      }),
    ),
};
