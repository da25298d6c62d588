// `billet image push DIR REPOSITORY:TAG`: a boot image into the coordinator's registry.

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import type { ArtifactTarget } from '#shared/artifact/oci/source.ts';
import type { BootImage } from '#shared/schema/desired.ts';
import {
  type BootFiles,
  bootManifest,
  EMPTY_DESCRIPTOR,
  EMPTY_JSON,
  readBootImage,
} from '../artifact/boot-artifact.ts';
import { BOOT_FILES, readBootFiles } from '../artifact/boot-files.ts';
import { parseLocalReference } from '../artifact/local-reference.ts';
import type { CommandIo } from '../command-io.ts';
import { bytes, emit, listing } from '../output.ts';
import { startProgress } from '../progress.ts';
import { openRepository } from '../registry.ts';
import { type RemoteOptions, withCoordinator, withExamples, withRemoteOptions } from '../remote.ts';

interface PushOptions extends RemoteOptions {
  readonly commandLine: string;
}

export function imageCommand(io: CommandIo): Command {
  const command = new Command('image').description('Boot images: a kernel with its initramfs.');
  const push = command
    .command('push')
    .description('Push a boot image into the registry of the coordinator.')
    .argument('<dir>', `a folder with ${Object.values(BOOT_FILES).join(', ')}`)
    .argument('<reference>', 'REPOSITORY[:TAG]')
    .option('--command-line <words>', "words for the kernel's command line, without billet.*", '');
  withRemoteOptions(push).action((dir: string, text: string, options: PushOptions) => {
    const { repository, reference } = parseLocalReference(text, 'the reference');
    return withCoordinator(io, options, async (coordinator) => {
      const files = await readBootFiles(dir, options.commandLine);
      const target = openRepository(io, coordinator, repository);
      await pushBootImage(io, target, dir, files, reference);
      const image = await readBootImage(target, repository, reference);
      emit(io, options.json === true, image, () => imageLines(image, reference, io.columns));
    });
  });
  withExamples(
    push,
    'billet image push build/boot boot:stable',
    'billet image push build/boot boot:serial --command-line "console=ttyS0,115200"',
  );
  return command;
}

async function pushBootImage(
  io: CommandIo,
  target: ArtifactTarget,
  dir: string,
  files: BootFiles,
  tag: string,
): Promise<void> {
  await target.putBlob(EMPTY_DESCRIPTOR, async function* () {
    yield EMPTY_JSON;
  });
  for (const [name, descriptor] of [
    [BOOT_FILES.kernel, files.kernel],
    [BOOT_FILES.initramfs, files.initramfs],
  ] as const)
    await pushFile(io, target, join(dir, name), name, descriptor);
  await target.putManifest(bootManifest(files), MEDIA.manifest, tag);
}

async function pushFile(
  io: CommandIo,
  target: ArtifactTarget,
  file: string,
  name: string,
  descriptor: Descriptor,
): Promise<void> {
  if (await target.hasBlob(descriptor.digest)) {
    io.stderr.write(`${name}: is there already\n`);
    return;
  }
  const progress = startProgress(io, name, descriptor.size);
  await target.putBlob(descriptor, () => createReadStream(file), {
    onProgress: (done) => progress.update(done),
    signal: io.signal,
  });
  progress.end(`${name}: ${bytes(descriptor.size)} pushed`);
}

const imageLines = (image: BootImage, tag: string, width: number) => [
  ...listing(
    [
      ['boot image', `${image.repository}@${image.manifest}`],
      ['kernel', `${image.kernelRelease} ${image.kernel}`],
      ['initramfs', image.initramfs],
      ['command line', image.commandLine || 'nothing added'],
    ],
    width,
  ),
  '',
  `Next: billet node create NAME --boot-image ${image.repository}:${tag}`,
];
