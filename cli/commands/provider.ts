// `billet provider list|leftovers|destroy`.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import {
  type Leftover,
  OperationKey,
  type Provider,
  ProviderKind,
} from '#shared/schema/provider.ts';
import type { CommandIo } from '../command-io.ts';
import { type Column, emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

export function providerCommand(io: CommandIo): Command {
  const command = new Command('provider').description(
    'Providers: who makes machines, and what was left at them.',
  );
  addList(command, io);
  addLeftovers(command, io);
  addDestroy(command, io);
  return command;
}

const columns: readonly Column<Provider>[] = [
  { header: 'PROVIDER', value: ({ name }) => name },
  { header: 'MODE', value: ({ mode }) => mode },
  {
    header: 'MACHINES',
    value: ({ machines, machinesMax }) =>
      `${machines}${machinesMax === null ? '' : `/${machinesMax}`}`,
  },
  { header: 'FAULT', value: ({ fault }) => fault?.message ?? '-', shrinks: true },
];

function addList(parent: Command, io: CommandIo): void {
  const list = parent.command('list').description('List who makes machines.');
  withRemoteOptions(list).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const { items } = await coordinator.call(routes.listProviders, {});
      emit(io, options.json === true, items, () => table(items, columns, io.columns, ''));
    }),
  );
  withExamples(list, 'billet provider list');
}

const leftoverColumns: readonly Column<Leftover>[] = [
  { header: 'PROVIDER', value: ({ provider }) => provider },
  { header: 'OPERATION', value: ({ operation }) => operation },
  { header: 'NODE', value: ({ node }) => node ?? '-' },
  { header: 'WHAT', value: ({ text }) => text, shrinks: true },
];

function addLeftovers(parent: Command, io: CommandIo): void {
  const leftovers = parent.command('leftovers').description('List what one side only has.');
  withRemoteOptions(leftovers).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const { items } = await coordinator.call(routes.listLeftovers, {});
      emit(io, options.json === true, items, () => [
        ...table(items, leftoverColumns, io.columns, 'nothing is left on either side'),
        ...items.slice(0, 1).map(({ hint }) => `Next: ${hint}`),
      ]);
    }),
  );
  withExamples(leftovers, 'billet provider leftovers --json');
}

function addDestroy(parent: Command, io: CommandIo): void {
  const destroy = parent
    .command('destroy')
    .description('Destroy a machine that nobody has.')
    .argument('<provider>', ProviderKind.options.join(', '))
    .argument('<operation>', 'as billet provider leftovers shows it');
  withRemoteOptions(destroy).action((name: string, key: string, options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const provider = parseArgument(ProviderKind, name, 'provider');
      const operation = parseArgument(OperationKey, key, 'operation');
      await coordinator.call(routes.destroyLeftover, { params: { provider, operation } });
      emit(io, options.json === true, { provider, operation }, () => [`${operation} is destroyed`]);
    }),
  );
  withExamples(destroy, 'billet provider destroy local-qemu o-0123456789abcdef');
}
