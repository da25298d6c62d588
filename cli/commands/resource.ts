// `billet platform|template|class … list|show|delete`: every kind of the catalogue in the same way.

import { Command } from 'commander';
import { ResourceName } from '#shared/schema/ids.ts';
import { kindName } from '../apply/document.ts';
import { recordRoutes } from '../apply/kinds.ts';
import { documentText } from '../apply/render.ts';
import { listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import {
  type CatalogRow,
  type ResourceRecord,
  resourceColumns,
  resourceLines,
} from '../views/resource.ts';

/** A command with the three verbs; what a kind has beside them is added to it. */
export function resourceCommand(io: CommandIo, row: CatalogRow): Command {
  const command = new Command(row.kind).description(row.description);
  addList(command, io, row);
  addShow(command, io, row);
  addDelete(command, io, row);
  return command;
}

function addList(parent: Command, io: CommandIo, row: CatalogRow): void {
  const list = parent
    .command('list')
    .description(`List ${row.many}.`)
    .option('--set <name>', 'only those that `billet apply --set NAME` made');
  withRemoteOptions(list).action((options: RemoteOptions & { set?: string }) =>
    withCoordinator(io, options, async (coordinator) => {
      const set =
        options.set === undefined ? {} : { set: parseArgument(ResourceName, options.set, '--set') };
      const records: readonly ResourceRecord[] = await listAll((page) =>
        coordinator.call(recordRoutes(row.kind).list, { query: { ...page, ...set } }),
      );
      emit(io, options.json === true, records, () =>
        table(records, resourceColumns(row, io.clock.now()), io.columns, `no ${row.many}`),
      );
    }),
  );
  withExamples(list, `billet ${row.kind} list`, `billet ${row.kind} list --set fleet --json`);
}

function addShow(parent: Command, io: CommandIo, row: CatalogRow): void {
  const show = parent
    .command('show')
    .description(`Show one: what was written, and what became of it.`)
    .argument('<name>', `name of the ${row.kind}`)
    .option('--yaml', 'print only its document, as `billet apply` takes it');
  withRemoteOptions(show).action((text: string, options: RemoteOptions & { yaml?: boolean }) => {
    const params = { name: parseArgument(ResourceName, text, row.kind) };
    return withCoordinator(io, options, async (coordinator) => {
      const record = await coordinator.call(recordRoutes(row.kind).get, { params });
      const document = documentText(row.kind, record.name, record.spec);
      if (options.yaml === true) io.stdout.write(document);
      else
        emit(io, options.json === true, record, () =>
          resourceLines(row, record, document, io.columns),
        );
    });
  });
  withExamples(
    show,
    `billet ${row.kind} show ${row.example}`,
    `billet ${row.kind} show ${row.example} --yaml > ${row.example}.yaml`,
  );
}

function addDelete(parent: Command, io: CommandIo, row: CatalogRow): void {
  const remove = parent
    .command('delete')
    .description(`Delete one that nothing uses.`)
    .argument('<name>', `name of the ${row.kind}`);
  withRemoteOptions(remove).action((text: string, options: RemoteOptions) => {
    const params = { name: parseArgument(ResourceName, text, row.kind) };
    return withCoordinator(io, options, async (coordinator) => {
      await coordinator.call(recordRoutes(row.kind).remove, { params });
      emit(io, options.json === true, { deleted: params.name }, () => [
        `${kindName(row.kind)} ${params.name} is deleted`,
      ]);
    });
  });
  withExamples(remove, `billet ${row.kind} delete ${row.example}`);
}
