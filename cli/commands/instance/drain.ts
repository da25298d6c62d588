// `billet instance drain` and `uncordon`: takes off an instance what runs on it, and back.

import { type Command, Option } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { DrainOrder } from '#shared/schema/drain.ts';
import type { Instance } from '#shared/schema/records.ts';
import { awaitDrain } from '../../await-drain.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit } from '../../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../../remote.ts';
import { drainLines } from '../../views/drain.ts';
import { secondsOf } from './provision.ts';

interface DrainOptions extends RemoteOptions {
  readonly cordonOnly?: boolean;
  readonly timeoutSeconds: string;
  readonly cancel?: boolean;
  readonly wait?: boolean;
}

/** How much longer than the drain itself it may take to begin and to be heard of. */
const GRACE_SECONDS = 120;

export function addDrain(parent: Command, io: CommandIo): void {
  const drain = parent
    .command('drain')
    .description('Take off an instance what runs on it: pods, containers, services, in this order.')
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--cordon-only', 'only let nothing new start; what runs goes on')
    .option('--timeout-seconds <n>', 'how long what runs may take to go', '600')
    .addOption(
      new Option(
        '--cancel',
        'stop the drain that is under way; the instance stays cordoned',
      ).conflicts(['cordonOnly', 'wait']),
    )
    .option('--wait', 'wait for the end; exit code 1 if something would not go');
  withRemoteOptions(drain).action((text: string, options: DrainOptions) => {
    const order = parseArgument(
      DrainOrder,
      {
        cordonOnly: options.cordonOnly ?? false,
        timeoutSeconds: Number(options.timeoutSeconds),
      },
      'the drain',
    );
    return withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      if (options.cancel === true) {
        const instance = await coordinator.call(routes.cancelDrain, { params });
        return show(io, options, instance, 'uncordon');
      }
      const made = await coordinator.call(routes.drainInstance, { params, body: order });
      const timeoutMs = (order.timeoutSeconds + GRACE_SECONDS) * 1000;
      const wanted = { drained: true, timeoutMs };
      const instance = options.wait ? await awaitDrain(io, coordinator, made, wanted) : made;
      show(io, options, instance, instance.drained ? 'terminate' : 'show');
    });
  });
  withExamples(
    drain,
    'billet instance drain web-1 --wait',
    'billet instance drain web-1 --cordon-only',
    'billet instance drain web-1 --cancel',
  );
}

export function addUncordon(parent: Command, io: CommandIo): void {
  const uncordon = parent
    .command('uncordon')
    .description('Take a drain back, also one that is under way: the instance takes work again.')
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--wait', 'wait until it does')
    .option('--timeout <seconds>', 'how long to wait', '300');
  withRemoteOptions(uncordon).action(
    (text: string, options: RemoteOptions & { wait?: boolean; timeout: string }) =>
      withCoordinator(io, options, async (coordinator) => {
        const timeoutMs = secondsOf(options.timeout) * 1000;
        const params = { id: await resolveInstance(coordinator, text) };
        const made = await coordinator.call(routes.uncordonInstance, { params });
        const wanted = { drained: false, timeoutMs };
        const instance = options.wait ? await awaitDrain(io, coordinator, made, wanted) : made;
        show(io, options, instance, 'show');
      }),
  );
  withExamples(uncordon, 'billet instance uncordon web-1 --wait');
}

function show(io: CommandIo, { json }: RemoteOptions, instance: Instance, next: string): void {
  const { id, node, state, drain } = instance;
  emit(io, json === true, instance, () => [
    `instance ${id} of ${node} is ${state}`,
    ...(drain === null ? [] : drainLines(drain, io.clock.now(), io.columns)),
    `Next: billet instance ${next} ${id}`,
  ]);
}
