// `billet instance preempt`: passes on a provider's notice that it takes a machine away.

import type { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import { routes } from '#shared/routes/table.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit } from '../../output.ts';
import {
  type RemoteOptions,
  resolveInstance,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../../remote.ts';

interface PreemptOptions extends RemoteOptions {
  readonly in: string;
}

export function addPreempt(parent: Command, io: CommandIo): void {
  const preempt = parent
    .command('preempt')
    .description(
      'Say that the provider takes the machine of an instance away soon. One that may be replaced is drained, and its node gets another.',
    )
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--in <seconds>', 'how long is left until then', '120');
  withRemoteOptions(preempt).action((text: string, options: PreemptOptions) => {
    const inSeconds = secondsOf(options.in);
    return withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      const instance = await coordinator.call(routes.preemptInstance, {
        params,
        body: { inSeconds },
      });
      const { id, lifecycleClass, machine } = instance;
      const byRule = lifecycleClass !== 'persistent' && machine !== null;
      emit(io, options.json === true, instance, () => [
        `${id} loses its machine at ${instance.preemptedAt}`,
        byRule
          ? `Next: billet events --follow --subject instance/${id}`
          : `It is ${lifecycleClass}, and stays until a person ends it: billet instance terminate ${id}`,
      ]);
    });
  });
  withExamples(preempt, 'billet instance preempt batch-7 --in 120');
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (Number.isInteger(seconds) && seconds >= 0 && seconds <= 86_400) return seconds;
  throw new BilletError('ARGUMENT_INVALID', `--in ${text} is no number of seconds up to a day`, {
    hint: 'billet instance preempt ID --in 120',
  });
}
