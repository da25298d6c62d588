// `billet simulate --agents N`: a fleet of agents in this process against a real coordinator, and what
// it took.

import { Command } from 'commander';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { ResourceName } from '#shared/schema/ids.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import { startStatus } from '../progress.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { leftFleets, removeFleet } from '../simulate/fleet.ts';
import { readHost } from '../simulate/host.ts';
import { type Limit, limitsOf } from '../simulate/limits.ts';
import { simulate } from '../simulate/simulate.ts';
import { simulationLines } from '../views/simulation.ts';

interface SimulateOptions extends RemoteOptions {
  readonly agents?: string;
  readonly seconds: string;
  readonly interval: string;
  readonly atOnce: string;
  readonly name?: string;
  readonly poll?: boolean;
  readonly keep?: boolean;
  readonly remove?: boolean;
}

const AGENTS_MAX = 100_000;
/** Of a name, so that the names of its nodes are DNS labels. */
const NAME_LENGTH_MAX = 48;
const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most);
const SAY_MS = 1_000;

export function simulateCommand(io: CommandIo): Command {
  const command = new Command('simulate')
    .description(
      'Measure a coordinator: many agents of this process enroll, connect, send heartbeats and follow one change, each with a key, certificate and channel of its own. What it makes there is removed at the end, and at Ctrl-C.',
    )
    .option('--agents <n>', `how many: 1 to ${AGENTS_MAX}, and what this machine can carry`)
    .option('--seconds <n>', 'how long to send heartbeats', '30')
    .option('--interval <seconds>', 'between two heartbeats of one agent', '30')
    .option('--at-once <n>', 'agents that enroll or connect at the same moment', '64')
    .option('--poll', 'each agent waits at the coordinator for its desired state as well')
    .option('--name <name>', 'of the template and its nodes (default: sim- and something)')
    .option('--keep', 'leave template, nodes and instances there')
    .option('--remove', 'remove what earlier simulations left, and simulate nothing');
  withRemoteOptions(command).action((options: SimulateOptions) =>
    options.remove === true ? removeLeft(io, options) : run(io, options),
  );
  return withExamples(
    command,
    'billet simulate --agents 1000',
    'billet simulate --agents 10000 --seconds 60 --json > simulation.json',
    'billet simulate --remove',
  );
}

async function run(io: CommandIo, options: SimulateOptions): Promise<void> {
  const poll = options.poll === true;
  const agents = parseArgument(whole(1, AGENTS_MAX), options.agents, '--agents');
  const random = Math.random().toString(36).slice(2, 8);
  const named = options.name ?? `sim-${random}`;
  const host = await readHost();
  const limits = host === null ? [] : limitsOf(host, poll ? 2 : 1);
  const wanted = {
    ...{ agents, poll, limits },
    seconds: parseArgument(whole(1, 86_400), options.seconds, '--seconds'),
    intervalSeconds: parseArgument(whole(1, 3_600), options.interval, '--interval'),
    atOnce: parseArgument(whole(1, 1_000), options.atOnce, '--at-once'),
    name: parseArgument(ResourceName, named, '--name'),
    keep: options.keep === true,
  };
  parseArgument(
    z
      .string()
      .max(NAME_LENGTH_MAX)
      .regex(/^[^.]+$/),
    named,
    '--name',
  );
  assertWithin(limits, agents);
  await withCoordinator(io, options, async (coordinator) => {
    const status = startStatus(io);
    let said = Number.NEGATIVE_INFINITY;
    const result = await simulate(io, coordinator, wanted, {
      say(text) {
        const now = io.clock.monotonic();
        if (now - said < SAY_MS) return;
        said = now;
        status.say(text);
      },
      done: (phase) => status.say(phase),
    }).finally(() => status.end());
    emit(io, options.json === true, result, () => simulationLines(result, io.columns));
  });
}

function assertWithin([tightest]: readonly Limit[], agents: number): void {
  if (tightest === undefined || agents <= tightest.agents) return;
  const { what, text, hint } = tightest;
  throw new BilletError(
    'UNSUPPORTED',
    `${agents} agents are more than the ${tightest.agents} that ${what} allow here: ${text}`,
    { hint, details: { what, agents: tightest.agents } },
  );
}

const removeLeft = (io: CommandIo, options: SimulateOptions) =>
  withCoordinator(io, options, async (coordinator) => {
    const retry = { clock: io.clock, random: Math.random, onRetry: () => undefined };
    const deps = { coordinator, retry };
    const status = startStatus(io);
    const names = await leftFleets(deps);
    let nodes = 0;
    for (const name of names)
      nodes += await removeFleet(deps, name, () => status.say(`removing ${name}`));
    status.end();
    emit(io, options.json === true, { removed: names, nodes }, () => [
      names.length === 0
        ? 'no simulation has left anything'
        : `${names.join(', ')}: ${nodes} nodes are removed`,
    ]);
  });
