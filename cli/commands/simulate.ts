// `billet simulate --agents N`: a fleet of agents in this process against a real coordinator, and what
// it took.

import { Command } from 'commander';
import { z } from 'zod';
import { NodeName } from '#shared/schema/ids.ts';
import type { CommandIo } from '../command-io.ts';
import { bytes, emit, listing } from '../output.ts';
import { startStatus } from '../progress.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { type Simulation, simulate } from '../simulate/simulate.ts';

interface SimulateOptions extends RemoteOptions {
  readonly agents: string;
  readonly seconds: string;
  readonly interval: string;
  readonly atOnce: string;
  readonly name: string;
  readonly keep?: boolean;
}

const whole = (least: number, most: number) => z.coerce.number().int().min(least).max(most);
const SAY_MS = 1_000;

export function simulateCommand(io: CommandIo): Command {
  const command = new Command('simulate')
    .description(
      'Let many simulated agents enroll, connect, send heartbeats and follow a change, each with a key, a certificate and a channel of its own. Nodes of a simulation are removed at its end.',
    )
    .requiredOption('--agents <n>', 'how many, 1 to 100000')
    .option('--seconds <n>', 'how long to send heartbeats', '30')
    .option('--interval <seconds>', 'between two heartbeats of one agent', '30')
    .option('--at-once <n>', 'agents that enroll or connect at the same moment', '64')
    .option('--name <prefix>', 'of the nodes', 'sim')
    .option('--keep', 'leave nodes and instances there');
  withRemoteOptions(command).action((options: SimulateOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const wanted = {
        agents: parseArgument(whole(1, 100_000), options.agents, '--agents'),
        seconds: parseArgument(whole(1, 86_400), options.seconds, '--seconds'),
        intervalSeconds: parseArgument(whole(1, 3_600), options.interval, '--interval'),
        atOnce: parseArgument(whole(1, 1_000), options.atOnce, '--at-once'),
        name: parseArgument(NodeName.max(48), options.name, '--name'),
        keep: options.keep === true,
      };
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
      emit(io, options.json === true, result, () => listing(pairsOf(result), io.columns));
    }),
  );
  return withExamples(
    command,
    'billet simulate --agents 1000',
    'billet simulate --agents 10000 --seconds 60 --json > simulation.json',
  );
}

const rate = (value: number) => `${value.toFixed(0)}/s`;
const ms = (value: number) => `${value.toFixed(1)} ms`;

function pairsOf(result: Simulation): [string, string][] {
  const { heartbeats, change, events } = result;
  const pairs: [string, string][] = [
    ['agents', String(result.agents)],
    ['prepared', `${rate(result.preparedPerSecond)} (node, instance and token)`],
    ['enrolled', rate(result.enrolledPerSecond)],
    ['connected', `${rate(result.connectedPerSecond)} (desired state, channel, first heartbeat)`],
    [
      'heartbeats',
      `${rate(heartbeats.perSecond)}, p50 ${ms(heartbeats.p50Ms)}, p99 ${ms(heartbeats.p99Ms)}, ${heartbeats.failed} failed`,
    ],
    [
      'change',
      `at all after ${change.allSeconds.toFixed(1)} s; at one after its answer p50 ${ms(change.p50Ms)}, p99 ${ms(change.p99Ms)}`,
    ],
    [
      'events',
      `${events.delivered} delivered, late by p50 ${ms(events.p50Ms)}, p99 ${ms(events.p99Ms)}`,
    ],
    ['memory', `${bytes(result.bytesPerAgent)} an agent, in this process`],
  ];
  if (result.lost > 0) pairs.push(['lost', `${result.lost} channels ended`]);
  return pairs;
}
