// `billet instance terminate`: ends an instance, and waits until nothing is left of it if asked to.

import type { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { awaitInstances } from '../../await-instances.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit } from '../../output.ts';
import {
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../../remote.ts';
import { secondsOf } from './provision.ts';

interface TerminateOptions extends RemoteOptions {
  readonly force?: boolean;
  readonly abandon?: boolean;
  readonly wait?: boolean;
  readonly timeout: string;
}

export function addTerminate(parent: Command, io: CommandIo): void {
  const terminate = parent
    .command('terminate')
    .description(
      'End an instance: certificates revoked, tokens and tasks closed, its machine destroyed.',
    )
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--force', 'also when it runs and was not drained')
    .option('--abandon', 'also when its provider cannot prove that the machine is gone')
    .option('--wait', 'wait until nothing is left of it')
    .option('--timeout <seconds>', 'how long to wait', '600');
  withRemoteOptions(terminate).action((text: string, options: TerminateOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const timeoutMs = secondsOf(options.timeout) * 1000;
      const { force = false, abandon = false } = options;
      const id = await resolveInstance(coordinator, text);
      const params = { id };
      let ended = await coordinator.call(routes.terminateInstance, {
        params,
        body: { force, abandon },
      });
      const wanted = { wanted: 'terminated', stops: ['failed'], timeoutMs } as const;
      if (options.wait) ended = (await awaitInstances(io, coordinator, [id], wanted))[0] ?? ended;
      const { node, state } = ended;
      emit(io, options.json === true, ended, () => [
        `instance ${id} of ${node} is ${state}`,
        state === 'terminated'
          ? `Next: billet instance create ${node}, or billet instance provision ${node}`
          : `Next: billet instance show ${id}`,
      ]);
    }),
  );
  withExamples(
    terminate,
    'billet instance terminate web-1',
    'billet instance terminate web-1 --force --wait',
  );
}
