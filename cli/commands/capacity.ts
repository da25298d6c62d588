// `billet capacity`: what providers, regions and pools can still take.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import { type RemoteOptions, withCoordinator, withExamples, withRemoteOptions } from '../remote.ts';
import { capacityLines } from '../views/capacity.ts';

export function capacityCommand(io: CommandIo): Command {
  const command = new Command('capacity').description(
    'Show what each provider, region and pool can still take, how nodes stand, and what is in the way.',
  );
  withRemoteOptions(command).action((options: RemoteOptions) =>
    withCoordinator(io, options, async (coordinator) => {
      const capacity = await coordinator.call(routes.getCapacity, {});
      emit(io, options.json === true, capacity, () => capacityLines(capacity, io.columns));
    }),
  );
  return withExamples(command, 'billet capacity', 'billet capacity --json');
}
