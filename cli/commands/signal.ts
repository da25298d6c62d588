// `billet signal list|show|ack|approve|dismiss|delete`.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { type Signal, SignalId, SignalState, SignalTopic } from '#shared/schema/signal.ts';
import { listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { signalColumns, signalLines } from '../views/signal.ts';

const ID = 'signal id, as billet signal list shows it';

export function signalCommand(io: CommandIo): Command {
  const command = new Command('signal').description(
    'Signals: what sensors noticed of instances (silent, drift, stuck), and what follows from it.',
  );
  addList(command, io);
  addShow(command, io);
  for (const row of ANSWERS) addAnswer(command, io, row);
  addDelete(command, io);
  return command;
}

interface ListOptions extends RemoteOptions {
  readonly instance?: string;
  readonly topic?: string;
  readonly state?: string;
  readonly all?: boolean;
}

function addList(parent: Command, io: CommandIo): void {
  const list = parent
    .command('list')
    .description('List signals that are not resolved.')
    .option('--instance <id>', 'only those of this instance or node')
    .option('--topic <topic>', `only those of one topic: ${SignalTopic.options.join(', ')}`)
    .option('--state <state>', `only those in this state: ${SignalState.options.join(', ')}`)
    .option('--all', 'also those that are resolved');
  withRemoteOptions(list).action((options: ListOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const { instance, topic, state, all } = options;
      const query = {
        ...(instance && { instance: await resolveInstance(coordinator, instance) }),
        ...(topic && { topic: parseArgument(SignalTopic, topic, '--topic') }),
        ...(all === true && { state: 'all' as const }),
        ...(state && { state: parseArgument(SignalState, state, '--state') }),
      };
      const signals = await listAll<Signal>((page) =>
        coordinator.call(routes.listSignals, { query: { ...query, ...page } }),
      );
      emit(io, options.json === true, signals, () =>
        table(signals, signalColumns(io.clock.now()), io.columns, 'no signals'),
      );
    }),
  );
  withExamples(
    list,
    'billet signal list',
    'billet signal list --topic silent --json',
    'billet signal list --instance web-1 --all',
  );
}

function addShow(parent: Command, io: CommandIo): void {
  const show = parent
    .command('show')
    .description('Show one signal: what, why, and what comes next.')
    .argument('<signal>', ID);
  withRemoteOptions(show).action((text: string, options: RemoteOptions) => {
    const params = { id: parseArgument(SignalId, text, 'signal') };
    return withCoordinator(io, options, async (coordinator) => {
      const signal = await coordinator.call(routes.getSignal, { params });
      emit(io, options.json === true, signal, () => [
        ...signalLines(signal, io.clock.now(), io.columns),
        '',
        `Its history: billet events --subject instance/${signal.instance}`,
      ]);
    });
  });
  withExamples(show, 'billet signal show i-0123456789abcdef.drift');
}

interface AnswerRow {
  readonly name: string;
  readonly route: 'acknowledgeSignal' | 'approveSignal' | 'dismissSignal';
  readonly description: string;
  readonly done: string;
}

const ANSWERS: readonly AnswerRow[] = [
  {
    name: 'ack',
    route: 'acknowledgeSignal',
    description: 'Say that you look at it: nothing is done by itself meanwhile.',
    done: 'is acknowledged',
  },
  {
    name: 'approve',
    route: 'approveSignal',
    description: 'Let its remedy be taken, from the first step, also where it was tried before.',
    done: 'is approved; the sensors order it with their next look',
  },
  {
    name: 'dismiss',
    route: 'dismissSignal',
    description: 'Resolve it: it is as it should be. It opens again for another finding only.',
    done: 'is dismissed',
  },
];

function addAnswer(parent: Command, io: CommandIo, row: AnswerRow): void {
  const { name, route, description, done } = row;
  const command = parent
    .command(name)
    .description(description)
    .argument('<signal>', ID)
    .option(
      '--opening <n>',
      'only this opening of it, as show says; else the one that is open now',
    );
  withRemoteOptions(command).action(
    (text: string, options: RemoteOptions & { opening?: string }) => {
      const params = { id: parseArgument(SignalId, text, 'signal') };
      const shape = routes.getSignal.reply.shape.opening;
      const opening =
        options.opening === undefined
          ? {}
          : { opening: parseArgument(shape, Number(options.opening), '--opening') };
      return withCoordinator(io, options, async (coordinator) => {
        const signal = await coordinator.call(routes[route], { params, body: opening });
        emit(io, options.json === true, signal, () => [
          `${signal.id} ${done}`,
          ...signalLines(signal, io.clock.now(), io.columns),
        ]);
      });
    },
  );
  withExamples(command, `billet signal ${name} i-0123456789abcdef.drift`);
}

function addDelete(parent: Command, io: CommandIo): void {
  const command = parent
    .command('delete')
    .description('Delete the record of a signal that is resolved; its events stay.')
    .argument('<signal>', ID);
  withRemoteOptions(command).action((text: string, options: RemoteOptions) => {
    const params = { id: parseArgument(SignalId, text, 'signal') };
    return withCoordinator(io, options, async (coordinator) => {
      await coordinator.call(routes.deleteSignal, { params, body: {} });
      emit(io, options.json === true, {}, () => [`${params.id} is deleted`]);
    });
  });
  withExamples(command, 'billet signal delete i-0123456789abcdef.drift');
}
