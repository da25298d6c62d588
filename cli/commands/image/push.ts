// `billet image push DIR REPOSITORY:TAG`: a boot image into the coordinator's registry.

import { Command } from 'commander';
import { readBootImage } from '../../artifact/boot-artifact.ts';
import { BOOT_LAYERS, NEEDED_FILES, readBootFiles } from '../../artifact/boot-files.ts';
import { parseLocalReference } from '../../artifact/local-reference.ts';
import { pushBootImage } from '../../artifact/push-boot-image.ts';
import type { CommandIo } from '../../command-io.ts';
import { emit, listing } from '../../output.ts';
import { openRepository } from '../../registry.ts';
import {
  type RemoteOptions,
  withCoordinator,
  withExamples,
  withRemoteOptions,
} from '../../remote.ts';

interface PushOptions extends RemoteOptions {
  readonly commandLine?: string;
}

export function pushCommand(io: CommandIo): Command {
  const command = new Command('push')
    .description('Push a boot image into the registry of the coordinator.')
    .argument(
      '<dir>',
      `a folder with ${NEEDED_FILES.join(', ')}, and for disks ${BOOT_LAYERS.uki} and ${BOOT_LAYERS.loader}`,
    )
    .argument('<reference>', 'REPOSITORY[:TAG]')
    .option(
      '--command-line <words>',
      "words for the kernel's command line, without billet.* (default: as built)",
    );
  withRemoteOptions(command).action((dir: string, text: string, options: PushOptions) => {
    const { repository, reference } = parseLocalReference(text, 'the reference');
    return withCoordinator(io, options, async (coordinator) => {
      const files = await readBootFiles(dir, options.commandLine ?? null);
      const target = openRepository(io, coordinator, repository);
      await pushBootImage(io, target, dir, files, reference);
      const image = await readBootImage(target, repository, reference);
      const { release } = files;
      emit(io, options.json === true, image, () => [
        ...listing(
          [
            ['boot image', `${image.repository}@${image.manifest}`],
            ['release', release ? `${release.name} ${release.version}` : 'not named'],
            ['kernel', `${image.kernelRelease} ${image.kernel}`],
            ['initramfs', image.initramfs],
            ['UKI', image.uki ?? 'none: for network boot only'],
            ['loader', image.loader ?? 'none'],
            ['command line', image.commandLine || 'nothing added'],
          ],
          io.columns,
        ),
        '',
        release === null
          ? `Next: billet node create NAME --boot-image ${image.repository}:${reference}`
          : `Next: billet image sign ${image.repository}:${reference} --key KEY`,
      ]);
    });
  });
  return withExamples(
    command,
    'billet image push build/boot boot:stable',
    'billet image push build/boot boot:serial --command-line "console=ttyS0,115200"',
  );
}
