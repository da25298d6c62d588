// What boot media are made with: EFI stub and loader of systemd, GRUB for BIOS, and the tools that write
// FAT and ISO 9660, from Debian trixie, so that the bytes don't depend on the host's release.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { hostTrixieLines } from '../setup/build/apt-sources.ts';
import { cached, fileDigest } from '../setup/build/cache.ts';
import { buildDebianRoot } from '../setup/build/debian-root.ts';
import { type Argv, run } from '../setup/build/drivers/run.ts';
import type { BuildContext } from './boot-root.ts';

const PACKAGES = [
  ...['dosfstools', 'grub-common', 'grub-pc-bin', 'mtools', 'osslsigncode'],
  ...['systemd-boot-efi', 'xorriso'],
];

/** Where a directory of the host is seen by the tools. */
export const WORK = '/work';
/** Where the tool that signs sees what it signs with; nothing is copied. */
export const KEY = '/key.pem';
export const CERTIFICATE = '/certificate.pem';

/** `$1` the root, then pairs of a path of the host and where it is seen, `--`, and the tool. */
const IN_ROOT = `root=$1 && shift
while [ "$1" != -- ]; do mount --bind "$1" "$root$2" && shift 2 || exit; done
shift && exec chroot "$root" "$@"`;

export interface MediumTools {
  /** Of the stub and loader, on the host. */
  readonly stub: string;
  readonly loader: string;
  /** Changes whenever anything in it does. */
  readonly key: string;
  /** Runs one of the tools, which sees `dir` of the host as WORK, the files of `signer`, and nothing else. */
  run(
    argv: Argv,
    dir: string,
    signer?: { readonly key: string; readonly certificate: string },
  ): Promise<string>;
}

/** Throws UNSUPPORTED without root, COMMAND_FAILED. */
export async function mediumTools(context: BuildContext): Promise<MediumTools> {
  const aptLines = hostTrixieLines();
  const inputs = {
    packages: PACKAGES.join(' '),
    archive: sha256(aptLines.join('\n')),
    mountPoints: [WORK, KEY, CERTIFICATE].join(' '),
    recipe: await fileDigest(join(import.meta.dirname, '../setup/build/debian-root.ts')),
  };
  const entry = await cached(context, 'medium-tools', inputs, async (dir) => {
    context.progress('unpacking boot loaders and the tools of boot media from Debian trixie');
    const spec = { variant: 'extract', packages: PACKAGES } as const;
    await buildDebianRoot(dir, spec, { ...context, aptLines });
    await mkdir(join(dir, 'root', WORK));
    for (const file of [KEY, CERTIFICATE]) await writeFile(join(dir, 'root', file), '');
  });
  const root = join(entry, 'root');
  const efi = join(root, 'usr/lib/systemd/boot/efi');
  return {
    stub: join(efi, 'linuxx64.efi.stub'),
    loader: join(efi, 'systemd-bootx64.efi'),
    key: entry.slice(-16),
    // The mounts end with the tool, whose namespace is its own.
    run(argv, dir, signer) {
      const files = signer ? [signer.key, KEY, signer.certificate, CERTIFICATE] : [];
      const mounts = [dir, WORK, ...files, '--'];
      return run(['sh', '-c', IN_ROOT, 'sh', root, ...mounts, ...argv], { signal: context.signal });
    },
  };
}
