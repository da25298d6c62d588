// Many agents in one process, which does what a bench asks of it over IPC. The load, not what is
// measured: keeps no figure but the times of replies.

import { readFile } from 'node:fs/promises';
import { systemClock } from '#shared/clock.ts';
import { enrollments, handshakes, renewals } from './admission.ts';
import { type AgentChannel, openChannel, type Server } from './agent-channel.ts';
import type { Fleet } from './fleet.ts';
import { inParallel } from './in-parallel.ts';
import { paced, percentile } from './pace.ts';
import { answerQuestions } from './questions.ts';

const [fleetPath = '', url = ''] = process.argv.slice(2);
const { agents, ca }: Fleet = JSON.parse(await readFile(fleetPath, 'utf8'));
const server: Server = { url, ca };
const channels: AgentChannel[] = [];

/** A part of the fleet, by numbers: the first, and the one after the last. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface PaceResult {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly late99: number;
}

const CONNECTING_AT_ONCE = 32;
const part = ({ from, to }: Range) => agents.slice(from, to);

answerQuestions({
  /** Opens channels of more agents. Each has sent a first heartbeat, and had its reply. */
  async connect({ from, to }: Range) {
    const opened = await inParallel(to - from, CONNECTING_AT_ONCE, async (index) => {
      const agent = agents[from + index];
      if (agent === undefined) throw new Error(`no agent ${from + index}`);
      const channel = await openChannel(server, agent, from + index);
      await channel.beat(systemClock.monotonic());
      return channel;
    });
    channels.push(...opened);
  },
  /** As many as fit: each agent sends the next when it has the reply to the last. */
  async flood({ count }: { readonly count: number }) {
    let left = count;
    const run = async (channel: AgentChannel): Promise<void> => {
      while (left-- > 0) await channel.beat(0);
    };
    await Promise.all(channels.map(run));
  },
  async pace({ perSecond, seconds }: { readonly perSecond: number; readonly seconds: number }) {
    const { count, latencies, lateness } = await paced(channels, perSecond, seconds);
    const [p50, p99, p999] = [50, 99, 99.9].map((percent) => percentile(latencies, percent));
    return { count, p50, p99, p999, late99: percentile(lateness, 99) };
  },
  disconnect() {
    for (const channel of channels.splice(0)) channel.close();
  },
  handshake: ({ count, width, ...range }: Range & { count: number; width: number }) =>
    handshakes(server, part(range), { count, width }),
  enroll: ({ width, ...range }: Range & { width: number }) =>
    enrollments(server, part(range), width),
  renew: ({ times, ...range }: Range & { times: number }) => renewals(server, part(range), times),
});
// Sockets and questions keep it alive; without either it would have nothing to do.
process.channel?.ref();
