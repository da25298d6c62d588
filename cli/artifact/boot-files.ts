// The files of a boot image in a folder, as initramfs/build.ts writes them, with their digests.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import { digestOfHex } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { BootImage } from '#shared/schema/desired.ts';
import { BOOT_MEDIA, type BootFiles } from './boot-artifact.ts';

export const BOOT_FILES = {
  kernel: 'kernel',
  initramfs: 'initramfs',
  kernelRelease: 'release',
} as const;

/** Throws ARGUMENT_INVALID when a file is missing or the release or command line is none. */
export async function readBootFiles(dir: string, commandLine: string): Promise<BootFiles> {
  const release = (await readRelease(join(dir, BOOT_FILES.kernelRelease))).trim();
  const { kernelRelease, commandLine: words } = BootImage.shape;
  const checked = {
    kernelRelease: kernelRelease.safeParse(release),
    commandLine: words.safeParse(commandLine),
  };
  if (!checked.kernelRelease.success || !checked.commandLine.success)
    throw new BilletError(
      'ARGUMENT_INVALID',
      `no kernel release or command line: ${JSON.stringify({ release, commandLine })}`,
      { hint: 'the release is what `uname -r` prints; the command line is printable ASCII' },
    );
  return {
    kernel: await describe(join(dir, BOOT_FILES.kernel), BOOT_MEDIA.kernel),
    initramfs: await describe(join(dir, BOOT_FILES.initramfs), BOOT_MEDIA.initramfs),
    kernelRelease: checked.kernelRelease.data,
    commandLine: checked.commandLine.data,
  };
}

const readRelease = (file: string) => readFile(file, 'utf8').catch((cause) => fail(file, cause));

async function describe(file: string, mediaType: string): Promise<Descriptor> {
  try {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file)) hash.update(chunk);
    const { size } = await stat(file);
    return { mediaType, digest: digestOfHex(hash.digest('hex')), size };
  } catch (cause) {
    return fail(file, cause);
  }
}

function fail(file: string, cause: unknown): never {
  throw new BilletError('ARGUMENT_INVALID', `cannot read ${file} of the boot image`, {
    hint: `the folder has to hold ${Object.values(BOOT_FILES).join(', ')}: see docs/bare-metal.md`,
    cause,
  });
}
