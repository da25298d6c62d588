// What machines boot from media and disks: the boot image as one EFI program (UKI), the loader of boot
// slots, and an ISO of both. Everything lies in the cache, by what it was made from.

import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hexOf, sha256 } from '#shared/digest.ts';
import { cached, fileDigest } from '../setup/build/cache.ts';
import { type BootImage, type BootImageOptions, buildBootImage } from './build.ts';
import { writeIso } from './medium-iso.ts';
import { type MediumTools, mediumTools } from './medium-tools.ts';
import { type Signer, signEfi } from './secure-boot.ts';
import { unifiedKernel } from './unified-kernel.ts';

/** Markers go to the last console: the serial line, which hardware smoke tests and BMCs read. */
export const DEFAULT_COMMAND_LINE = 'console=tty0 console=ttyS0,115200 panic=10 quiet';

const UKI = 'billet.efi';
const LOADER = 'systemd-bootx64.efi';

export interface MediumOptions extends BootImageOptions {
  /** Words of the kernel's command line: printable ASCII without quotes and backslashes. */
  readonly commandLine?: string;
  /** Without one, UKI and loader are not signed. */
  readonly signer?: Signer | undefined;
}

/** What a disk boots. */
export interface BootPrograms {
  readonly image: BootImage;
  readonly kernel: string;
  readonly initramfs: string;
  /** Unified kernel image. */
  readonly uki: string;
  /** systemd-boot. */
  readonly loader: string;
  readonly commandLine: string;
}

export interface BootMedium extends BootPrograms {
  /** For CDs, USB sticks and virtual media, by BIOS and UEFI. */
  readonly iso: string;
}

/** Builds what is not in the cache yet. Throws UNSUPPORTED without root, COMMAND_FAILED. */
export async function buildMedium(options: MediumOptions): Promise<BootMedium> {
  const programs = await buildPrograms(options);
  return { ...programs, iso: await buildIso(programs, await mediumTools(options), options) };
}

/** The same without the ISO. */
export async function buildPrograms(options: MediumOptions): Promise<BootPrograms> {
  const image = await buildBootImage(options);
  const commandLine = options.commandLine ?? DEFAULT_COMMAND_LINE;
  const efi = await buildEfi(image, await mediumTools(options), commandLine, options);
  const { kernel, initramfs } = image;
  return { image, kernel, initramfs, ...efi, commandLine };
}

async function buildEfi(
  image: BootImage,
  tools: MediumTools,
  commandLine: string,
  options: MediumOptions,
): Promise<{ readonly uki: string; readonly loader: string }> {
  const inputs = {
    image: image.key,
    tools: tools.key,
    commandLine,
    signer: options.signer?.fingerprint ?? 'none',
    recipe: await recipeDigest('medium.ts', 'secure-boot.ts', 'unified-kernel.ts'),
  };
  const entry = await cached(options, 'boot-efi', inputs, async (dir) => {
    options.progress('assembling the unified kernel image');
    const text = (content: string) => Buffer.from(content);
    const pieces = unifiedKernel(await readFile(tools.stub), [
      { name: '.osrel', content: text(osRelease(image)) },
      { name: '.cmdline', content: text(commandLine) },
      { name: '.uname', content: text(image.kernelRelease) },
      { name: '.linux', content: await readFile(image.kernel) },
      { name: '.initrd', content: await readFile(image.initramfs) },
    ]);
    await writeFile(join(dir, UKI), pieces, { mode: 0o644 });
    await copyFile(tools.loader, join(dir, LOADER));
    const { signer } = options;
    if (signer === undefined) return;
    options.progress(`signing for Secure Boot as ${signer.subject}`);
    const at = Date.parse(image.info.builtAt) / 1000;
    for (const name of [UKI, LOADER]) await signEfi(tools, signer, dir, name, at);
  });
  return { uki: join(entry, UKI), loader: join(entry, LOADER) };
}

async function buildIso(
  programs: BootPrograms,
  tools: MediumTools,
  options: MediumOptions,
): Promise<string> {
  const { image, ...parts } = programs;
  const digest = await fileDigest(programs.uki);
  const inputs = {
    efi: digest,
    tools: tools.key,
    recipe: await recipeDigest('medium-iso.ts'),
  };
  const entry = await cached(options, 'boot-iso', inputs, async (dir) => {
    options.progress('writing the ISO');
    const work = join(dir, 'work');
    await mkdir(work);
    const iso = join(dir, 'billet.iso');
    // Of the content: the keys of the cache say where it came from, too.
    const key = hexOf(digest).slice(0, 16);
    await writeIso(tools, { ...parts, key, title: titleOf(image) }, work, iso);
  });
  return join(entry, 'billet.iso');
}

const titleOf = ({ info }: BootImage) => `Billet ${info.name} ${info.version}`;

/**
 * os-release(5), for the loader's menu. No VERSION_ID, IMAGE_ID or IMAGE_VERSION: systemd-boot would sort
 * by them before the file's name, and only the name tells which generation is newer; a node that goes
 * back to an older boot image would boot the newer one again (Boot Loader Specification, "Sorting").
 */
const osRelease = (image: BootImage) =>
  [
    ...['ID=billet', 'NAME=Billet', `PRETTY_NAME="${titleOf(image)}"`],
    ...[`BILLET_IMAGE=${image.info.name}`, `BILLET_SEQUENCE=${image.info.sequence}`],
    `BILLET_VERSION=${image.info.version}\n`,
  ].join('\n');

async function recipeDigest(...names: readonly string[]): Promise<string> {
  const digests = names.map((name) => fileDigest(join(import.meta.dirname, name)));
  return sha256((await Promise.all(digests)).join(' '));
}
