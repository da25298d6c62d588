// `billet node create|list|show|set|history|delete`.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { type Node, NodeSpec } from '#shared/schema/records.ts';
import { documentText } from '../apply/render.ts';
import { listAll } from '../client.ts';
import type { CommandIo } from '../command-io.ts';
import { type SpecOptions, specOf, withSpecOptions } from '../node-spec.ts';
import { emit, table } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';
import { resolver } from '../resolver.ts';
import { nodeColumns, nodeLines } from '../views/node.ts';
import { addHistory } from './node-history.ts';

type Options = RemoteOptions & SpecOptions;

export function nodeCommand(io: CommandIo): Command {
  const command = new Command('node').description(
    'Nodes: logical machines, and what each of them should be.',
  );
  addCreate(command, io);
  addList(command, io);
  addShow(command, io);
  addSet(command, io);
  addHistory(command, io);
  addDelete(command, io);
  return command;
}

function addCreate(parent: Command, io: CommandIo): void {
  const create = withSpecOptions(
    parent
      .command('create')
      .description('Create a node. Tags are resolved now: the node is pinned to digests.')
      .argument('<name>', 'a DNS label'),
  );
  withRemoteOptions(create).action((text: string, options: Options) => {
    const name = parseArgument(NodeName, text, 'node');
    return withCoordinator(io, options, async (coordinator) => {
      const spec = await specOf(options, NodeSpec.parse({}), resolver(io, coordinator));
      const node = await coordinator.call(routes.createNode, { body: { name, spec } });
      emit(io, options.json === true, node, () => [
        `node ${node.name} is at generation ${node.generation}`,
        ...(node.instance === null ? [`Next: billet instance ${verbFor(node)} ${node.name}`] : []),
      ]);
    });
  });
  withExamples(
    create,
    'billet node create web-1 --module base:stable --module web:stable \\',
    '    --boot-image boot:stable --mac 52:54:00:12:34:56',
    'billet node create web-2 --pool web --serial CZ3104A7KX --asset-tag rack-7',
    'billet node create web-3 -f web-3.json --label rack=b7',
  );
}

/** Somebody makes its machine where a place or a size is said; else a person has it. */
const verbFor = ({ derived: { region, instanceType } }: Node) =>
  region === null && instanceType === null ? 'create' : 'provision';

function addList(parent: Command, io: CommandIo): void {
  const list = parent.command('list').description('List nodes.');
  withRemoteOptions(list).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const nodes = await listAll<Node>((page) =>
        coordinator.call(routes.listNodes, { query: page }),
      );
      emit(io, options.json === true, nodes, () =>
        table(nodes, nodeColumns(io.clock.now()), io.columns, 'no nodes'),
      );
    }),
  );
  withExamples(list, 'billet node list', 'billet node list --json');
}

function addShow(parent: Command, io: CommandIo): void {
  const show = parent
    .command('show')
    .description('Show one node: what it should be. What it is: `billet instance show NAME`.')
    .argument('<name>', 'name of the node')
    .option('--yaml', 'print only its document, as `billet apply` takes it');
  withRemoteOptions(show).action((text: string, options: RemoteOptions & { yaml?: boolean }) => {
    const params = { name: parseArgument(NodeName, text, 'node') };
    return withCoordinator(io, options, async (coordinator) => {
      const node = await coordinator.call(routes.getNode, { params });
      if (options.yaml === true) io.stdout.write(documentText('node', node.name, node.spec));
      else emit(io, options.json === true, node, () => nodeLines(node, io.columns));
    });
  });
  withExamples(show, 'billet node show web-1', 'billet node show web-1 --yaml > web-1.yaml');
}

function addSet(parent: Command, io: CommandIo): void {
  const set = withSpecOptions(
    parent
      .command('set')
      .description('Change what a node should be; its instance gets a new generation.')
      .argument('<name>', 'name of the node'),
  );
  withRemoteOptions(set).action((text: string, options: Options) => {
    const params = { name: parseArgument(NodeName, text, 'node') };
    return withCoordinator(io, options, async (coordinator) => {
      const before = await coordinator.call(routes.getNode, { params });
      const body = await specOf(options, before.spec, resolver(io, coordinator));
      const ifMatch = `"${before.revision}"`;
      const node = await coordinator.call(routes.putNodeSpec, { params, body, ifMatch });
      emit(io, options.json === true, node, () => [
        node.generation === before.generation
          ? `node ${node.name} stays at generation ${node.generation}: nothing changed`
          : `node ${node.name} is at generation ${node.generation}`,
      ]);
    });
  });
  withExamples(
    set,
    'billet node set web-1 --module web:next',
    'billet node set web-1 --remove-module web --label rack=',
  );
}

function addDelete(parent: Command, io: CommandIo): void {
  const remove = parent
    .command('delete')
    .description('Delete a node that has no live instance.')
    .argument('<name>', 'name of the node');
  withRemoteOptions(remove).action((text: string, options: RemoteOptions) => {
    const params = { name: parseArgument(NodeName, text, 'node') };
    return withCoordinator(io, options, async (coordinator) => {
      await coordinator.call(routes.deleteNode, { params });
      emit(io, options.json === true, { deleted: params.name }, () => [
        `node ${params.name} is deleted`,
      ]);
    });
  });
  withExamples(remove, 'billet instance terminate web-1 && billet node delete web-1');
}
