// Pushes the files of a boot image and their manifest, showing progress. What is there already is not
// sent again.

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import {
  type BootContent,
  bootManifest,
  EMPTY_DESCRIPTOR,
  EMPTY_JSON,
} from '#shared/artifact/boot/manifest.ts';
import { MEDIA } from '#shared/artifact/oci/media-types.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import type { ArtifactTarget } from '#shared/artifact/oci/source.ts';
import type { CommandIo } from '../command-io.ts';
import { bytes } from '../output.ts';
import { startProgress } from '../progress.ts';
import { BOOT_LAYERS } from './boot-files.ts';

/** The manifest goes last, so that the tag never names what is not whole. */
export async function pushBootImage(
  io: CommandIo,
  target: ArtifactTarget,
  dir: string,
  files: BootContent,
  tag: string,
): Promise<void> {
  await target.putBlob(EMPTY_DESCRIPTOR, async function* () {
    yield EMPTY_JSON;
  });
  for (const [file, name] of Object.entries(BOOT_LAYERS)) {
    const descriptor = files[file as keyof typeof BOOT_LAYERS];
    if (descriptor !== null) await pushFile(io, target, join(dir, name), name, descriptor);
  }
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
