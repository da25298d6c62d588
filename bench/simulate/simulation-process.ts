// `billet simulate` in a process of its own, as a bench asks for it over IPC: so its memory is that of
// its agents, and its CPU not the coordinator's.

import { systemClock } from '#shared/clock.ts';
import type { ResourceName } from '#shared/schema/ids.ts';
import { connect } from '../../cli/client.ts';
import type { CommandIo } from '../../cli/command-io.ts';
import { loadContext } from '../../cli/context.ts';
import { readHost } from '../../cli/simulate/host.ts';
import { limitsOf } from '../../cli/simulate/limits.ts';
import { type Simulation, simulate } from '../../cli/simulate/simulate.ts';
import { answerQuestions } from '../link/questions.ts';

export interface Wanted {
  readonly agents: number;
  readonly seconds: number;
  readonly intervalSeconds: number;
}

const AT_ONCE = 64;
const [context = ''] = process.argv.slice(2);
const interrupt = new AbortController();
process.once('SIGTERM', () => interrupt.abort());

const io: CommandIo = {
  stdout: process.stderr,
  stderr: process.stderr,
  clock: systemClock,
  colour: false,
  interactive: false,
  columns: 80,
  env: {},
  signal: interrupt.signal,
};

answerQuestions({
  async simulate(wanted: Wanted): Promise<Simulation> {
    const coordinator = connect(io, await loadContext(io, context));
    const host = await readHost();
    const limits = host === null ? [] : limitsOf(host, 1);
    const options = { name: 'sim-bench' as ResourceName, atOnce: AT_ONCE, poll: false, keep: true };
    const quiet = { say: () => undefined, done: () => undefined };
    try {
      return await simulate(io, coordinator, { ...wanted, ...options, limits }, quiet);
    } finally {
      await coordinator.close();
    }
  },
});
// Sockets and questions keep it alive; without either it would have nothing to do.
process.channel?.ref();
