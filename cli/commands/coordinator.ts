// `billet coordinator`: runs the coordinator in this process, until it is told to stop. The flags are
// the coordinator's own (coordinator/config.ts); nothing of it is known here.

import { Command } from 'commander';
import type { CommandIo } from '../command-io.ts';
import { loadPart } from '../part.ts';
import { withExamples } from '../remote.ts';
import { backupCommand } from './backup.ts';
import { restoreCommand } from './restore.ts';

interface CoordinatorMain {
  runCoordinator(args: readonly string[]): Promise<void>;
}

export function coordinatorCommand(io: CommandIo): Command {
  const command = new Command('coordinator')
    .description('Run the coordinator: API, registry and boot files for the fleet.')
    .argument('[flags...]', 'see below')
    .allowUnknownOption()
    .passThroughOptions()
    .addHelpText(
      'after',
      `
Flags (over the file, over the defaults):
  --config FILE         strict JSON, else /etc/billet/coordinator.json if there
  --state-dir DIR       store, CA, registry, admin.json, else
                        /var/lib/billet/coordinator
  --listen HOST:PORT    HTTPS (default: 127.0.0.1:8443)
  --boot-listen HOST:PORT|none
                        plain HTTP for boot files (default: 127.0.0.1:8480)
  --url URL             how nodes and operators reach it
  --boot-url URL        how firmware reaches it
  --trust-domain NAME   of the certificates (default: billet.internal)
  --name NAME           DNS name or IP of its certificate; again for more`,
    )
    .action(async (flags: readonly string[]) => {
      const { runCoordinator } = await loadPart<CoordinatorMain>('coordinator');
      await runCoordinator(flags);
    });
  return withExamples(
    command,
    'billet coordinator',
    'billet coordinator --listen 0.0.0.0:8443 --name coordinator.example.net',
    'billet coordinator --state-dir /srv/try --boot-listen none',
  )
    .addCommand(backupCommand(io))
    .addCommand(restoreCommand(io));
}
