// `billet certificate revoke`.

import { Command } from 'commander';
import { routes } from '#shared/routes/table.ts';
import { Serial } from '#shared/schema/ids.ts';
import type { CommandIo } from '../command-io.ts';
import { emit } from '../output.ts';
import {
  parseArgument,
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../remote.ts';

export function certificateCommand(io: CommandIo): Command {
  const command = new Command('certificate').description(
    'Work with the certificates of instances.',
  );
  const revoke = command
    .command('revoke')
    .description('Revoke a certificate; its open connections end at once.')
    .argument('<serial>', 'serial, as `billet instance show` prints it')
    .option('--reason <text>', 'kept with the event', '');
  withRemoteOptions(revoke).action((serial: string, options: RemoteOptions & { reason: string }) =>
    withCoordinator(io, options, async (coordinator) => {
      const revoked = await coordinator.call(routes.revokeCertificate, {
        params: { serial: parseArgument(Serial, serial.toLowerCase(), 'serial') },
        body: { reason: options.reason },
      });
      emit(io, options.json === true, revoked, () => [
        `certificate ${revoked.serial} of ${revoked.instance} is revoked`,
        `To let the machine back in: billet instance boot ${revoked.instance}`,
      ]);
    }),
  );
  withExamples(revoke, 'billet certificate revoke 3f9c21d0 --reason "disk was stolen"');
  return command;
}
