// `billet instance install`: orders an installation, or shows which disk it would mean.

import type { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { WipeId } from '#shared/schema/install-plan.ts';
import type { Instance } from '#shared/schema/records.ts';
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
import { previewLines } from '../../views/install.ts';

interface InstallOptions extends RemoteOptions {
  readonly wipe?: string;
  readonly diskSerial?: string;
  readonly dryRun?: boolean;
  readonly force?: boolean;
}

export function addInstall(parent: Command, io: CommandIo): void {
  const install = parent
    .command('install')
    .description(
      'Order an installation, as the plan of its class or node says. A machine that runs goes on: it installs when it boots from the medium.',
    )
    .argument('<instance>', 'instance id, or the name of its node')
    .option('--wipe <id>', 'what may be lost: the wipe id that the node gave its content')
    .option('--disk-serial <serial>', 'the disk, instead of the one that the plan means')
    .option('--dry-run', 'order nothing: show which disk is meant, and why no other')
    .option('--force', 'begin anew also while an installation is under way');
  withRemoteOptions(install).action((text: string, options: InstallOptions) => {
    const wipeId =
      options.wipe === undefined ? null : parseArgument(WipeId, options.wipe, '--wipe');
    const diskSerial = options.diskSerial ?? null;
    return withCoordinator(io, options, async (coordinator) => {
      const params = { id: await resolveInstance(coordinator, text) };
      if (options.dryRun === true) {
        const query = {
          ...(wipeId === null ? {} : { wipeId }),
          ...(diskSerial === null ? {} : { diskSerial }),
        };
        const [instance, preview] = await Promise.all([
          coordinator.call(routes.getInstance, { params }),
          coordinator.call(routes.previewInstall, { params, query }),
        ]);
        const lines = () => previewLines(instance, preview, io.columns, io.clock.now());
        return emit(io, options.json === true, preview, lines);
      }
      const body = { wipeId, diskSerial, force: options.force === true };
      const instance = await coordinator.call(routes.orderInstall, { params, body });
      emit(io, options.json === true, instance, () => orderedLines(instance));
    });
  });
  withExamples(
    install,
    'billet instance install web-1 --dry-run',
    'billet instance install web-1',
    'billet instance install web-1 --wipe wipe-0123456789abcdef',
  );
}

const FROM_MEDIUM = 'Boot it from the medium (ISO, USB, network): it installs then.';

function orderedLines({ id, node, state, install }: Instance): readonly string[] {
  const isRunning = state === 'running' || state === 'draining';
  return [
    `${id} (${node}) is to be installed, as ${install?.event}`,
    ...(isRunning ? ['Until then it runs on as it is.'] : []),
    state === 'installing' ? 'Its installer looks at the new plan by itself.' : FROM_MEDIUM,
    `Next: billet events --follow --subject instance/${id}`,
  ];
}
