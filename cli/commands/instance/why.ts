// `billet instance why`: what changed before an instance failed, the likeliest first.

import type { Command } from 'commander';
import { z } from 'zod';
import { routes } from '#shared/routes/table.ts';
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
import { whyLines } from '../../views/why.ts';

const Hours = z.coerce.number().int().min(1).max(720);

export function addWhy(parent: Command, io: CommandIo): void {
  const why = parent
    .command('why')
    .description('Rank what changed before an instance failed, with the evidence for each.')
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--hours <n>', 'how far before the failure to look: 1 to 720', '24');
  withRemoteOptions(why).action((text: string, options: RemoteOptions & { hours: string }) => {
    const hours = parseArgument(Hours, options.hours, '--hours');
    return withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      const found = await coordinator.call(routes.explainInstance, { params, query: { hours } });
      emit(io, options.json === true, found, () => whyLines(found, io.clock.now(), io.columns));
    });
  });
  withExamples(why, 'billet instance why web-1', 'billet instance why web-1 --hours 72 --json');
}
