// The files of a boot image in a folder, as `billet image build` writes them, with their digests.

import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BOOT_MEDIA, type BootContent, type BootRelease } from '#shared/artifact/boot/manifest.ts';
import type { Descriptor } from '#shared/artifact/oci/schema.ts';
import { digestOfHex } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { BootImageInfo } from '#shared/schema/boot-image-info.ts';
import { BootImage } from '#shared/schema/desired.ts';
import { describeFaults } from '#shared/schema/faults.ts';

/** Those that travel as layers. */
export const BOOT_LAYERS = {
  kernel: 'kernel',
  initramfs: 'initramfs',
  uki: 'billet.efi',
  loader: 'systemd-bootx64.efi',
} as const;
const RELEASE = 'release';
const COMMAND_LINE = 'command-line';
const INFO = 'image.json';

/** What the folder has to hold; the others are for disks and media. */
export const NEEDED_FILES = [BOOT_LAYERS.kernel, BOOT_LAYERS.initramfs, RELEASE];

/**
 * UKI, loader and the image's name go along where the folder has them; `commandLine` null is what the
 * image was built with. Throws ARGUMENT_INVALID when a file is missing or says what it may not.
 */
export async function readBootFiles(dir: string, commandLine: string | null): Promise<BootContent> {
  const optional = async (name: string) =>
    existsSync(join(dir, name)) ? await readText(join(dir, name)) : null;
  const words = commandLine ?? (await optional(COMMAND_LINE))?.trim() ?? '';
  const release = (await readText(join(dir, RELEASE))).trim();
  const checked = {
    kernelRelease: BootImage.shape.kernelRelease.safeParse(release),
    commandLine: BootImage.shape.commandLine.safeParse(words),
  };
  if (!checked.kernelRelease.success || !checked.commandLine.success)
    throw new BilletError(
      'ARGUMENT_INVALID',
      `no kernel release or command line: ${JSON.stringify({ release, commandLine: words })}`,
      { hint: 'the release is what `uname -r` prints; the command line is printable ASCII' },
    );
  const layer = (file: keyof typeof BOOT_LAYERS) =>
    describe(join(dir, BOOT_LAYERS[file]), BOOT_MEDIA[file]);
  const ifThere = async (file: 'uki' | 'loader') =>
    existsSync(join(dir, BOOT_LAYERS[file])) ? await layer(file) : null;
  return {
    kernel: await layer('kernel'),
    initramfs: await layer('initramfs'),
    uki: await ifThere('uki'),
    loader: await ifThere('loader'),
    kernelRelease: checked.kernelRelease.data,
    commandLine: checked.commandLine.data,
    release: releaseOf(await optional(INFO), join(dir, INFO)),
  };
}

function releaseOf(text: string | null, file: string): BootRelease | null {
  if (text === null) return null;
  const parsed = z
    .string()
    .transform((json, context): unknown => {
      try {
        return JSON.parse(json);
      } catch {
        context.addIssue({ code: 'custom', message: 'not JSON' });
        return z.NEVER;
      }
    })
    .pipe(BootImageInfo)
    .safeParse(text);
  if (!parsed.success)
    throw new BilletError('ARGUMENT_INVALID', `${file}: ${describeFaults(parsed.error)}`, {
      hint: 'it is written by `billet image build`, and the same as in the initramfs: build again',
    });
  const { name, sequence, version } = parsed.data;
  return { name, sequence, version };
}

const readText = (file: string) => readFile(file, 'utf8').catch((cause) => fail(file, cause));

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
    hint: `the folder has to hold ${NEEDED_FILES.join(', ')}: see docs/bare-metal.md`,
    cause,
  });
}
