// `billet instance create|provision|list|show|boot|install|drain|uncordon|terminate …`.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { NodeName } from '#shared/schema/ids.ts';
import { type Instance, InstanceState } from '#shared/schema/records.ts';
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
import { instanceColumns, instanceLines } from '../views/instance.ts';
import { addDrain, addUncordon } from './instance/drain.ts';
import { addInstall } from './instance/install.ts';
import { addPreempt } from './instance/preempt.ts';
import { addProvision } from './instance/provision.ts';
import { addRecoveryKey, addRecoveryKeygen } from './instance/recovery-key.ts';
import { addTerminate } from './instance/terminate.ts';
import { addWhy } from './instance/why.ts';
import { instanceAcceptCommand } from './instance-accept.ts';
import { instanceQuietCommand } from './instance-quiet.ts';

export function instanceCommand(io: CommandIo): Command {
  const command = new Command('instance').description(
    'Instances: one life of a node on a machine, from its first boot to its end.',
  );
  addCreate(command, io);
  addProvision(command, io);
  addList(command, io);
  addShow(command, io);
  addWhy(command, io);
  addBoot(command, io);
  addInstall(command, io);
  addRecoveryKey(command, io);
  addRecoveryKeygen(command, io);
  addDrain(command, io);
  addUncordon(command, io);
  addTerminate(command, io);
  addPreempt(command, io);
  command.addCommand(instanceAcceptCommand(io));
  command.addCommand(instanceQuietCommand(io));
  return command;
}

function addCreate(parent: Command, io: CommandIo): void {
  const create = parent
    .command('create')
    .description('Create the instance of a node, and let its first boot have a token.')
    .argument('<node>', 'name of the node');
  withRemoteOptions(create).action((node: string, options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const params = { name: parseArgument(NodeName, node, 'node') };
      const instance = await coordinator.call(routes.createInstance, { params });
      emit(io, options.json === true, instance, () => [
        `instance ${instance.id} of ${instance.node} is ${instance.state}`,
        'Switch the machine on now.',
        `Next: billet events --follow --subject instance/${instance.id}`,
      ]);
    }),
  );
  withExamples(create, 'billet instance create web-1');
}

function addList(parent: Command, io: CommandIo): void {
  const list = parent
    .command('list')
    .description('List instances.')
    .option('--node <name>', 'only those of this node')
    .option('--state <state>', `only those in this state: ${InstanceState.options.join(', ')}`);
  withRemoteOptions(list).action((options: RemoteOptions & { node?: string; state?: string }) =>
    withCoordinator(io, options, async (coordinator) => {
      const { node, state } = options;
      const query = {
        ...(node === undefined ? {} : { node: parseArgument(NodeName, node, '--node') }),
        ...(state === undefined ? {} : { state: parseArgument(InstanceState, state, '--state') }),
      };
      const instances = await listAll<Instance>((page) =>
        coordinator.call(routes.listInstances, { query: { ...query, ...page } }),
      );
      emit(io, options.json === true, instances, () =>
        table(instances, instanceColumns(io.clock.now()), io.columns, 'no instances'),
      );
    }),
  );
  withExamples(list, 'billet instance list', 'billet instance list --state failed --json');
}

function addShow(parent: Command, io: CommandIo): void {
  const show = parent
    .command('show')
    .description('Show one instance: its state, what runs on it, and what is wrong with it.')
    .argument('<instance>', 'instance id, or the name of its node');
  withRemoteOptions(show).action((text: string, options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      const [instance, { items: signals }, quiet] = await Promise.all([
        coordinator.call(routes.getInstance, { params }),
        coordinator.call(routes.listSignals, { query: { instance: params.id } }),
        coordinator.call(routes.getQuiet, { params }),
      ]);
      emit(io, options.json === true, instance, () =>
        instanceLines({ instance, signals, quiet }, io.clock.now(), io.columns),
      );
    }),
  );
  withExamples(show, 'billet instance show web-1', 'billet instance show web-1 --json');
}

function addBoot(parent: Command, io: CommandIo): void {
  const boot = parent
    .command('boot')
    .description('Let the next network boot of an instance have a token to enroll with.')
    .argument('<instance>', 'instance id, or the name of its node');
  withRemoteOptions(boot).action((text: string, options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      const instance = await coordinator.call(routes.orderBoot, { params });
      const { id, node } = instance;
      emit(io, options.json === true, instance, () => [
        `the next network boot of ${id} (${node}) gets a token`,
        'Switch the machine on now.',
        `Next: billet events --follow --subject instance/${id}`,
      ]);
    }),
  );
  withExamples(boot, 'billet instance boot web-1');
}
