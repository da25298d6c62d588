// `billet simulate` against the coordinator as it is shipped, each in a process of its own: enrollments,
// heartbeats, events, memory, and how soon a change of a template is at every agent.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Phase } from '../../cli/simulate/phase.ts';
import type { Simulation } from '../../cli/simulate/simulate.ts';
import type { Bench, BenchContext, Figure } from '../bench.ts';
import { startCoordinatorProcess } from '../link/coordinator.ts';
import { startProcess } from '../link/drivers/process.ts';
import type { Wanted } from './simulation-process.ts';

const PROGRAM = new URL('./simulation-process.ts', import.meta.url).href;
const SECONDS = 35;
/** Each agent's, as the coordinator asks for it by default. */
const INTERVAL_SECONDS = 30;

const simulation = (agents: number, limitMs: number): Bench => ({
  name: `simulate/${agents}`,
  limitMs,
  needsArtifacts: false,
  run: (context) => measure(context, agents),
});

export const simulate1000 = simulation(1_000, 600_000);
export const simulate10000: Bench = { ...simulation(10_000, 3_600_000), onlyInFull: true };

async function measure(context: BenchContext, agents: number): Promise<readonly Figure[]> {
  const { dir, signal, progress } = context;
  const stateDir = join(dir, 'coordinator');
  await mkdir(stateDir, { mode: 0o700 });
  const coordinator = await startCoordinatorProcess(stateDir, signal);
  const program = { program: PROGRAM, args: [join(stateDir, 'admin.json')], signal };
  const client = startProcess(program);
  try {
    progress(`${agents} agents: made, enrolled, connected, ${SECONDS} s of heartbeats, changed …`);
    const wanted: Wanted = { agents, seconds: SECONDS, intervalSeconds: INTERVAL_SECONDS };
    const { cpuMs, result } = await coordinator.during(() => client.ask('simulate', wanted));
    return figuresOf(result as Simulation, cpuMs);
  } finally {
    await client.stop();
    await coordinator.stop();
  }
}

function figuresOf(result: Simulation, cpuMs: number): readonly Figure[] {
  const { agents, enrolled, connected, heartbeats, changed, events, limits } = result;
  const [limit] = limits;
  const rate = (name: string, phase: Phase, note: string): Figure => ({
    ...{ name, value: phase.perSecond, unit: '/s', target: null },
    note: `${note}; p50 ${text(phase.p50Ms)} ms, p99 ${text(phase.p99Ms)} ms`,
  });
  return [
    rate('enrollments', enrolled, `${agents}, 64 at once, a new connection each`),
    rate('agents that connect', connected, 'desired state, channel, first heartbeat'),
    rate(
      'heartbeats answered',
      heartbeats,
      `every ${INTERVAL_SECONDS} s, ${heartbeats.failed} failed`,
    ),
    rate('events delivered', events, `${events.count} to one follower, in the whole run`),
    {
      ...{ name: 'a change is at every agent after', value: changed.seconds, unit: 's' },
      target: null,
      note: `one change of the template of all ${agents}; at half of them after ${text(changed.p50Ms)} ms`,
    },
    {
      ...{ name: 'memory for an agent of the simulation', value: result.bytesPerAgent / 1000 },
      ...{ unit: 'KB', target: null },
      note: `of its own process${limit === undefined ? '' : `; at most ${limit.agents} agents here, by ${limit.what}: ${limit.text}`}; coordinator ${(cpuMs / 1000).toFixed(1)} s of CPU; ${result.lost} channels lost, ${result.retries} requests sent again`,
    },
  ];
}

const text = (ms: number | null): string => (ms === null ? '-' : ms.toFixed(0));
