// `billet version`: what runs here. Asks nobody.

import { Command } from 'commander';
import { VERSION } from '#shared/version.ts';
import type { CommandIo } from '../command-io.ts';
import { emit, listing } from '../output.ts';
import { withExamples } from '../remote.ts';

export function versionCommand(io: CommandIo): Command {
  const command = new Command('version')
    .description('Print the version of billet and of the Node that runs it.')
    .option('--json', 'print JSON for programs')
    .action((options: { json?: boolean }) => {
      const versions = { billet: VERSION, node: process.versions.node };
      emit(io, options.json === true, versions, () =>
        listing(Object.entries(versions), io.columns),
      );
    });
  return withExamples(command, 'billet version', 'billet version --json');
}
