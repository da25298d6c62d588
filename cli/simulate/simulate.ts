// A whole simulation: its phases in order, and what each took. What was made at the coordinator is
// removed at the end, also after Ctrl-C.

import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { Coordinator } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { countEvents } from './event-count.ts';
import { changeFleet, type Member, makeFleet, removeFleet } from './fleet.ts';
import { heartbeats } from './heartbeats.ts';
import { inParallel, limiter, quantile } from './parallel.ts';
import { type SimAgent, simAgent } from './sim-agent.ts';

export interface SimulationOptions {
  readonly agents: number;
  /** How long heartbeats are sent, and how often by each agent. */
  readonly seconds: number;
  readonly intervalSeconds: number;
  /** Agents that enroll or connect at the same moment. */
  readonly atOnce: number;
  /** Of the nodes: `<name>-<number>`. */
  readonly name: string;
  /** Leaves nodes and instances there. */
  readonly keep: boolean;
}

/** Rates are of a whole phase; times in milliseconds unless they say otherwise. */
export interface Simulation {
  readonly agents: number;
  readonly preparedPerSecond: number;
  readonly enrolledPerSecond: number;
  readonly connectedPerSecond: number;
  readonly heartbeats: {
    readonly sent: number;
    readonly perSecond: number;
    readonly failed: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
  };
  readonly change: {
    /** From the first change to the last agent that has its own. */
    readonly allSeconds: number;
    /** From the answer to the operator to the agent that has it. */
    readonly p50Ms: number;
    readonly p99Ms: number;
  };
  readonly events: { readonly delivered: number; readonly p50Ms: number; readonly p99Ms: number };
  /** Of this process: what an agent costs here. */
  readonly bytesPerAgent: number;
  readonly lost: number;
}

export interface Phases {
  /** A line of progress. */
  say(text: string): void;
  /** At the end of each phase. */
  done(phase: 'prepared' | 'enrolled' | 'connected' | 'beaten' | 'changed' | 'removed'): void;
}

const CHANGE_LIMIT_MS = 600_000;
const LOOK_EVERY_MS = 20;
const SAY_EVERY = 50;
const FETCHES_AT_ONCE = 128;

export async function simulate(
  io: CommandIo,
  coordinator: Coordinator,
  options: SimulationOptions,
  phases: Phases,
): Promise<Simulation> {
  const { clock, signal } = io;
  const { url, ca } = coordinator.context;
  const members: Member[] = [];
  const agents: SimAgent[] = [];
  const following = new AbortController();
  const arrivals = new Map<SimAgent, number>();
  const limited = limiter(FETCHES_AT_ONCE);
  const onDesired = (agent: SimAgent) => void arrivals.set(agent, clock.monotonic());
  const every = (text: string) => {
    let count = 0;
    return () => {
      count += 1;
      if (count % SAY_EVERY === 0) phases.say(`${text} ${count} of ${options.agents}`);
    };
  };
  const timed = async (work: () => Promise<void>): Promise<number> => {
    const since = clock.monotonic();
    await work();
    return (clock.monotonic() - since) / 1000;
  };
  const each = (work: (agent: SimAgent) => Promise<void>, told: () => void) =>
    timed(() =>
      inParallel(agents.length, options.atOnce, signal, async (n) => {
        const agent = agents[n];
        if (agent) await work(agent);
        told();
      }),
    );

  try {
    const { revision } = await coordinator.call(routes.getStatus, {});
    const events = countEvents(io, coordinator, revision, following.signal);
    const made = every('prepared');
    const onMade = (member: Member) => {
      members.push(member);
      made();
    };
    const prepared = await timed(() => makeFleet(coordinator, { ...options, signal, onMade }));
    phases.done('prepared');

    const emptyBytes = process.memoryUsage().rss;
    for (const member of members)
      agents.push(simAgent({ url, ca, clock, onDesired, limited, signal }, member));
    const enrolled = await each((agent) => agent.enroll(), every('enrolled'));
    phases.done('enrolled');
    const connected = await each((agent) => agent.connect(), every('connected'));
    phases.done('connected');

    const beats = await heartbeats(agents, options, { clock, signal, say: phases.say });
    const bytesPerAgent = (process.memoryUsage().rss - emptyBytes) / options.agents;
    phases.done('beaten');

    const change = await measureChange();
    phases.done('changed');
    const lost = agents.filter((agent) => !agent.isConnected()).length;
    if (events.problem !== null)
      throw new BilletError('LINK_DOWN', `the stream of events ended: ${events.problem}`, {
        hint: 'look at the log of the coordinator',
      });
    return {
      agents: options.agents,
      preparedPerSecond: options.agents / prepared,
      enrolledPerSecond: options.agents / enrolled,
      connectedPerSecond: options.agents / connected,
      heartbeats: beats,
      change,
      events: {
        delivered: events.delivered,
        p50Ms: quantile(events.lateMs, 0.5),
        p99Ms: quantile(events.lateMs, 0.99),
      },
      bytesPerAgent,
      lost,
    };
  } finally {
    for (const agent of agents) agent.close();
    if (!options.keep) {
      // Also what was asked for when it was cut short, and whose answer nobody saw.
      const names = Array.from({ length: options.agents }, (_, n) => `${options.name}-${n}`);
      const reached = signal.aborted ? names.slice(0, members.length + 32) : names;
      await removeFleet(coordinator, reached, every('removed'));
      phases.done('removed');
    }
    following.abort();
  }

  async function measureChange(): Promise<Simulation['change']> {
    arrivals.clear();
    const answered: { at: number; generation: number }[] = [];
    const since = clock.monotonic();
    const changing = changeFleet(coordinator, members, signal, (n, generation) => {
      answered[n] = { at: clock.monotonic(), generation };
    });
    await changing;
    const has = (n: number) => (agents[n]?.generation() ?? 0) >= (answered[n]?.generation ?? 1);
    let missing = 0;
    do {
      missing = agents.filter((_, n) => !has(n)).length;
      phases.say(`changed: ${agents.length - missing} of ${agents.length} have it`);
      if (clock.monotonic() - since > CHANGE_LIMIT_MS)
        throw new BilletError('TIMEOUT', `${missing} agents did not get the change`, {
          hint: 'look at the log and the load of the coordinator',
        });
      if (missing > 0) await clock.sleep(LOOK_EVERY_MS, signal);
    } while (missing > 0);
    // An agent that was nudged may have it before the operator has the answer.
    const times = agents.map((agent, n) =>
      Math.max(0, (arrivals.get(agent) ?? since) - (answered[n]?.at ?? since)),
    );
    const last = Math.max(...arrivals.values());
    return {
      allSeconds: (last - since) / 1000,
      p50Ms: quantile(times, 0.5),
      p99Ms: quantile(times, 0.99),
    };
  }
}
