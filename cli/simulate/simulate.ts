// A whole simulation: its phases in order, and what each took. What was made at the coordinator is
// removed at the end, also after Ctrl-C.

import { setMaxListeners } from 'node:events';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import type { Coordinator } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { countEvents } from './event-count.ts';
import {
  assertUnused,
  changeFleet,
  type FleetDeps,
  type Member,
  makeFleet,
  removeFleet,
} from './fleet.ts';
import { heartbeats } from './heartbeats.ts';
import type { Limit } from './limits.ts';
import { inParallel, limiter } from './parallel.ts';
import { type Phase, phaseOf } from './phase.ts';
import { type Retry, retried } from './retry.ts';
import { type SimAgent, simAgent } from './sim-agent.ts';

export interface SimulationOptions {
  readonly agents: number;
  /** How long heartbeats are sent, and how often by each agent. */
  readonly seconds: number;
  readonly intervalSeconds: number;
  /** Agents that enroll or connect at the same moment. */
  readonly atOnce: number;
  /** Of the template; nodes are `<name>-<number>`. */
  readonly name: ResourceName;
  /** Whether each agent waits at the coordinator for its desired state, beside its channel. */
  readonly poll: boolean;
  /** Leaves nodes and instances there. */
  readonly keep: boolean;
  /** Of this machine, the tightest first; empty where they are not known. */
  readonly limits: readonly Limit[];
}

export interface Simulation {
  readonly agents: number;
  readonly name: ResourceName;
  readonly limits: readonly Limit[];
  /** node, instance and token each */
  readonly prepared: Phase;
  readonly enrolled: Phase;
  /** desired state, channel and first heartbeat each */
  readonly connected: Phase;
  readonly heartbeats: Phase;
  /** From one change of the template to the agent that has it; the whole: to the last one. */
  readonly changed: Phase;
  /** From the time in an event to the follower that is sent it; both clocks on one machine. */
  readonly events: Phase;
  /** Of this process, at the end of the heartbeats: what an agent costs here. */
  readonly bytesPerAgent: number;
  /** Requests that were sent again. */
  readonly retries: number;
  /** Channels that ended before the end. */
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
const FETCHES_AT_ONCE = 128;
const CLOSES_AT_ONCE = 256;

/** Rejects with what failed, or the signal's reason; the coordinator is as before in both cases. */
export async function simulate(
  io: CommandIo,
  coordinator: Coordinator,
  options: SimulationOptions,
  phases: Phases,
): Promise<Simulation> {
  const { clock, signal } = io;
  // One signal ends thousands of requests.
  setMaxListeners(0, signal);
  const retries = { count: 0 };
  const onRetry = () => {
    retries.count += 1;
  };
  const retry: Retry = { clock, random: Math.random, onRetry };
  const run: Run = {
    ...{ io, coordinator, options, phases, retry },
    fleet: { coordinator, retry },
    agents: [],
    arrivals: new Map(),
  };
  const following = new AbortController();
  await assertUnused(run.fleet, options.name, signal);
  try {
    const { revision } = await coordinator.call(routes.getStatus, {});
    const events = countEvents(io, coordinator, revision, following.signal);
    const start = clock.monotonic();
    const measured = await measure(run);
    if (events.problem !== null)
      throw new BilletError('LINK_DOWN', `the stream of events ended: ${events.problem}`, {
        hint: 'look at the log of the coordinator',
      });
    const { agents, name, limits } = options;
    const lost = run.agents.filter((agent) => !agent.isConnected()).length;
    const told = phaseOf(events.lateMs, clock.monotonic() - start);
    return { agents, name, limits, ...measured, events: told, retries: retries.count, lost };
  } finally {
    await closeAll(run);
    following.abort();
    if (!options.keep) await remove(run);
  }
}

/** What the phases of one simulation share. */
interface Run {
  readonly io: CommandIo;
  readonly coordinator: Coordinator;
  readonly options: SimulationOptions;
  readonly phases: Phases;
  readonly retry: Retry;
  readonly fleet: FleetDeps;
  readonly agents: SimAgent[];
  /** When each agent had the generation that it has. */
  readonly arrivals: Map<SimAgent, number>;
}

type Measured = Pick<
  Simulation,
  'prepared' | 'enrolled' | 'connected' | 'heartbeats' | 'changed' | 'bytesPerAgent'
>;

async function measure(run: Run): Promise<Measured> {
  const { io, options, phases, agents } = run;
  const prepared = await prepare(run);
  phases.done('prepared');
  const emptyBytes = process.memoryUsage.rss();
  const enrolled = await each(run, 'enrolled', (agent) => agent.enroll());
  phases.done('enrolled');
  const connected = await each(run, 'connected', (agent) => agent.connect());
  phases.done('connected');
  const beats = await heartbeats(agents, options, { ...io, say: phases.say });
  const bytesPerAgent = Math.round((process.memoryUsage.rss() - emptyBytes) / options.agents);
  phases.done('beaten');
  const changed = await change(run);
  phases.done('changed');
  return { prepared, enrolled, connected, heartbeats: beats, changed, bytesPerAgent };
}

/** The records at the coordinator, and the agents, which do nothing yet. */
async function prepare({ io, coordinator, options, phases, ...run }: Run): Promise<Phase> {
  const { clock, signal } = io;
  const members: Member[] = [];
  const onMade = (member: Member) => {
    members.push(member);
    phases.say(`prepared ${members.length} of ${options.agents}`);
  };
  const start = clock.monotonic();
  await makeFleet(run.fleet, { ...options, signal, onMade });
  const tookMs = clock.monotonic() - start;
  const { url, ca } = coordinator.context;
  const limited = limiter(FETCHES_AT_ONCE);
  const onDesired = (agent: SimAgent) => void run.arrivals.set(agent, clock.monotonic());
  const own = { url, ca, clock, onDesired, limited, signal, poll: options.poll };
  for (const member of members) run.agents.push(simAgent(own, member));
  const count = members.length;
  return { ...phaseOf([], tookMs), count, perSecond: (count * 1000) / tookMs };
}

/** Some agents at once, each tried again where that may help. */
async function each(
  { io, options, phases, agents, retry }: Run,
  what: string,
  work: (agent: SimAgent) => Promise<void>,
): Promise<Phase> {
  const { clock, signal } = io;
  const times: number[] = [];
  const start = clock.monotonic();
  await inParallel(agents.length, options.atOnce, signal, async (n) => {
    const agent = agents[n];
    if (agent === undefined) return;
    const since = clock.monotonic();
    await retried(retry, signal, () => work(agent));
    times.push(clock.monotonic() - since);
    phases.say(`${what} ${times.length} of ${options.agents}`);
  });
  return phaseOf(times, clock.monotonic() - start);
}

/** One change of the template, until every agent has what it comes to. */
async function change({ io, options, phases, agents, arrivals, fleet }: Run): Promise<Phase> {
  const { clock, signal } = io;
  arrivals.clear();
  const before = agents.map((agent) => agent.generation());
  const since = clock.monotonic();
  await changeFleet(fleet, options.name, signal);
  for (;;) {
    const missing = agents.filter((agent, n) => agent.generation() <= (before[n] ?? 0)).length;
    if (missing === 0) break;
    phases.say(`changed: ${agents.length - missing} of ${agents.length} have it`);
    if (clock.monotonic() - since > CHANGE_LIMIT_MS)
      throw new BilletError('TIMEOUT', `${missing} agents did not get the change`, {
        hint: 'look at the log and the load of the coordinator',
      });
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
  const times = agents.map((agent) => (arrivals.get(agent) ?? since) - since);
  return phaseOf(
    times,
    times.reduce((most, ms) => Math.max(most, ms), 0),
  );
}

/** Also after Ctrl-C. */
async function closeAll({ agents }: Run): Promise<void> {
  const { signal } = new AbortController();
  await inParallel(agents.length, CLOSES_AT_ONCE, signal, async (n) => agents[n]?.close());
}

async function remove({ io, options, phases, fleet }: Run): Promise<void> {
  let removed = 0;
  if (io.signal.aborted) io.stderr.write('removing what was made; Ctrl-C again leaves it there\n');
  await removeFleet(fleet, options.name, () => {
    removed += 1;
    phases.say(`removed ${removed}`);
  });
  phases.done('removed');
}
