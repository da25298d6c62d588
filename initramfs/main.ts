// Entry of `billet image build`: checks what was asked for, builds it, and puts the files into a folder.
// With `check`, all of it is made a second time from nothing, from the same bundle of the agent, and has
// to have the same bytes.

import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { cacheDirOf, partialName } from '#shared/build-cache.ts';
import type { Clock } from '#shared/clock.ts';
import type { Digest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import type { BootImageInfo } from '#shared/schema/boot-image-info.ts';
import { fileDigest } from '../setup/build/cache.ts';
import { checkRequest, type ImageRequest } from './image-request.ts';
import { type BootPrograms, buildMedium, buildPrograms, type MediumOptions } from './medium.ts';

export interface BuildRequest extends ImageRequest {
  /** A folder; files of an earlier build in it are replaced. */
  readonly out: string;
  readonly iso: boolean;
  readonly check?: boolean | undefined;
  /** Where what was built stays for the next time. */
  readonly cache?: string | undefined;
}

export interface BuildIo {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly progress: (line: string) => void;
}

export interface BuiltFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly digest: Digest;
}

export interface BuiltImage {
  readonly dir: string;
  readonly info: BootImageInfo;
  readonly kernelRelease: string;
  readonly commandLine: string;
  /** Null: not signed for Secure Boot. */
  readonly signer: { readonly subject: string; readonly fingerprint: Digest } | null;
  readonly files: readonly BuiltFile[];
  /** Whether a second build had the same bytes; null when none was asked for. */
  readonly reproduced: true | null;
  readonly warnings: readonly string[];
  readonly seconds: number;
}

const ISO = 'billet.iso';

/** Throws ARGUMENT_INVALID, POLICY_INVALID, SECURE_BOOT_…, UNSUPPORTED without root, COMMAND_FAILED. */
export async function buildImage(request: BuildRequest, io: BuildIo): Promise<BuiltImage> {
  const start = io.clock.monotonic();
  const { warnings, signer, ...checked } = await checkRequest(request, io.clock);
  const dir = resolve(request.out);
  await makeFolder(dir);
  const cacheDir = resolve(request.cache ?? cacheDirOf(io.env));
  const { clock, signal, progress } = io;
  const options: MediumOptions = { ...{ cacheDir, clock, signal, progress }, ...checked, signer };
  const first = await build(options, request.iso);
  if (request.check) await buildAgainAndCompare(first, options, request.iso);
  const files = await place(first, dir);
  const { info, kernelRelease } = first.programs.image;
  return {
    ...{ dir, info, kernelRelease, files, warnings },
    commandLine: first.programs.commandLine,
    signer: signer ? { subject: signer.subject, fingerprint: signer.fingerprint } : null,
    reproduced: request.check ? true : null,
    seconds: Math.round((io.clock.monotonic() - start) / 100) / 10,
  };
}

interface Built {
  readonly programs: BootPrograms;
  /** Where each file of the folder lies now. */
  readonly sources: ReadonlyMap<string, string>;
}

async function build(options: MediumOptions, withIso: boolean): Promise<Built> {
  const programs = withIso ? await buildMedium(options) : await buildPrograms(options);
  const { dir } = programs.image;
  const sources = new Map([
    ...['kernel', 'initramfs', 'release', 'image.json'].map(
      (name) => [name, join(dir, name)] as const,
    ),
    ['billet.efi', programs.uki],
    ['systemd-bootx64.efi', programs.loader],
    ...('iso' in programs ? [[ISO, programs.iso as string] as const] : []),
  ]);
  return { programs, sources };
}

/** Throws DIGEST_MISMATCH, naming the file, when the second build differs. */
async function buildAgainAndCompare(
  first: Built,
  options: MediumOptions,
  withIso: boolean,
): Promise<void> {
  // Unfinished by its name: where this ends in the middle, the next builder takes it away.
  const name = partialName('check', process.pid, randomBytes(8).toString('hex'));
  const cacheDir = join(options.cacheDir, name);
  await mkdir(cacheDir, { recursive: true });
  try {
    options.progress('building all of it again, from nothing');
    const { agentDir } = first.programs.image;
    const second = await build({ ...options, agentDir, cacheDir }, withIso);
    for (const [name, file] of first.sources) {
      const digest = await fileDigest(file);
      const again = await fileDigest(second.sources.get(name) ?? '');
      if (digest !== again)
        throw new BilletError('DIGEST_MISMATCH', `${name} is ${digest}, and ${again} built again`, {
          hint: 'look whether Debian released packages in between (build once more); else it is a defect of the build',
        });
      options.progress(`${name}: ${digest}, twice`);
    }
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

/** Before the minutes of a build, not after them. */
async function makeFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new BilletError('ARGUMENT_INVALID', `${dir} cannot be made: ${cause.code}`, {
      hint: 'name a folder with --out, or the place for one',
      cause,
    });
  });
}

/** Every file is there whole before the first takes its name; what was there stays where that fails. */
async function place({ programs, sources }: Built, dir: string): Promise<BuiltFile[]> {
  const partial = (name: string) => join(dir, `.${name}.partial`);
  const names = [...sources.keys(), 'command-line'];
  const files: BuiltFile[] = [];
  try {
    for (const [name, source] of sources) {
      await copyFile(source, partial(name));
      const { size } = await stat(source);
      files.push({ name, sizeBytes: size, digest: await fileDigest(source) });
    }
    await writeFile(partial('command-line'), `${programs.commandLine}\n`);
    for (const name of names) await rename(partial(name), join(dir, name));
  } finally {
    for (const name of names) await rm(partial(name), { force: true });
  }
  // Of an earlier build, and of another image.
  if (!sources.has(ISO)) await rm(join(dir, ISO), { force: true });
  return files;
}
