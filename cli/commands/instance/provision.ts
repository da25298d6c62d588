// `billet instance provision`: lets a provider make the machines of nodes.

import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import type { Reply } from '#shared/routes/route.ts';
import { routes } from '#shared/routes/table.ts';
import { NodeName, ResourceName } from '#shared/schema/ids.ts';
import { MachineShape, ProviderKind } from '#shared/schema/provider.ts';
import { awaitInstances } from '../../await-instances.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit } from '../../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../../remote.ts';

interface ProvisionOptions extends RemoteOptions {
  readonly provider?: string;
  readonly type?: string;
  readonly cpus?: string;
  readonly memory?: string;
  readonly persist?: string;
  readonly boot?: string;
  readonly identity?: string;
  readonly fromPool?: boolean;
  readonly wait?: boolean;
  readonly timeout: string;
}

export function addProvision(parent: Command, io: CommandIo): void {
  const provision = parent
    .command('provision')
    .description('Let a provider make the machines of nodes, up to 50 in a call.')
    .argument('<node...>', 'names of nodes without an instance')
    .option(
      '--provider <name>',
      `${ProviderKind.options.join(', ')} (default: as the instance type or region says)`,
    )
    .option('--type <name>', 'instance type (default: the one of the node)')
    .option('--cpus <count>', 'virtual CPUs, instead of an instance type')
    .option('--memory <MiB>', 'memory, instead of an instance type')
    .option('--persist <MiB>', 'a disk that keeps the store between boots')
    .option('--boot <how>', 'direct: kernel from the host; network: as a machine of metal')
    .option('--identity <how>', 'how a direct boot learns who it is: fw_cfg, smbios')
    .option('--from-pool', 'take instances that wait in the warm pools of the nodes; make none')
    .option('--wait', 'wait until they run, and show how they stand')
    .option('--timeout <seconds>', 'how long to wait', '1800');
  withRemoteOptions(provision).action((names: string[], options: ProvisionOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const nodes = names.map((name) => parseArgument(NodeName, name, 'node'));
      const timeoutMs = secondsOf(options.timeout) * 1000;
      const fromPool = options.fromPool === true;
      const body = { nodes, ...placementOf(options), fromPool, idempotencyKey: randomUUID() };
      const { items } = await coordinator.call(routes.provisionInstances, { body });
      assertAll(items);
      const ids = items.flatMap(({ instance }) => instance ?? []);
      if (!options.wait) {
        emit(io, options.json === true, items, () => [
          ...items.map(
            ({ node, instance }) =>
              `${instance} of ${node} is ${fromPool ? 'taken from its pool' : 'asked for'}`,
          ),
          `Next: billet instance show ${ids[0]}`,
        ]);
        return;
      }
      const stops = ['failed', 'terminating', 'terminated'] as const;
      const wanted = { wanted: 'running', stops, timeoutMs } as const;
      const instances = await awaitInstances(io, coordinator, ids, wanted);
      emit(io, options.json === true, instances, () =>
        instances.map(({ id, node, state }) => `${id} of ${node} is ${state}`),
      );
    }),
  );
  withExamples(
    provision,
    'billet instance provision web-1 web-2 --wait',
    'billet instance provision web-3 --from-pool --wait',
    'billet instance provision web-1 --provider local-qemu --cpus 2 --memory 2048',
  );
}

/** A shape is given whole: what the flags don't say has the usual size, not that of a type. */
function placementOf({ provider, type, ...flags }: ProvisionOptions) {
  const { cpus, memory, persist, boot, identity } = flags;
  const given = [cpus, memory, persist, boot, identity].some((flag) => flag !== undefined);
  if (given && type !== undefined)
    throw new BilletError('ARGUMENT_INVALID', '--type says the size already', {
      hint: 'leave out --type, or --cpus, --memory, --persist, --boot and --identity',
    });
  const disk = { serial: 'persist', sizeBytes: mebibytes(persist), label: 'billet-persist' };
  const shape = {
    ...(cpus === undefined ? {} : { cpuCount: Number(cpus) }),
    ...(memory === undefined ? {} : { memoryBytes: mebibytes(memory) }),
    ...(persist === undefined ? {} : { disks: [disk] }),
    ...(boot === undefined ? {} : { boot }),
    ...(identity === undefined ? {} : { identity }),
  };
  return {
    ...(provider === undefined
      ? {}
      : { provider: parseArgument(ProviderKind, provider, '--provider') }),
    ...(type === undefined ? {} : { instanceType: parseArgument(ResourceName, type, '--type') }),
    ...(given ? { shape: parseArgument(MachineShape, shape, 'the size') } : {}),
  };
}

const mebibytes = (text: string | undefined) => Number(text ?? 0) * 2 ** 20;

export function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isFinite(seconds) && seconds > 0) return seconds;
  throw new BilletError('ARGUMENT_INVALID', `--timeout ${text} is no number of seconds`, {
    hint: 'give a positive number of seconds',
  });
}

/** What was made is named, so that nobody asks for it again. */
function assertAll(items: Reply<typeof routes.provisionInstances>['items']): void {
  const failed = items.find(({ fault }) => fault !== null);
  if (!failed?.fault) return;
  const made = items.flatMap(({ instance }) => instance ?? []);
  const { message, hint } = failed.fault;
  throw new BilletError('CONFLICT', `${message}; asked for: ${made.join(', ') || 'none'}`, {
    hint,
    details: { items },
  });
}
