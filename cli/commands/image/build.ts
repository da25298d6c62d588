// `billet image build`: starts the builder of boot images (initramfs/main.ts) with what was asked for,
// and shows what came out.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { BilletError } from '#shared/errors.ts';
import type { CommandIo } from '../../command-io.ts';
import { bytes, emit, listing } from '../../output.ts';
import { withExamples } from '../../remote.ts';

interface BuildOptions {
  readonly policy: string;
  readonly out: string;
  readonly name: string;
  readonly sequence?: string;
  readonly version?: string;
  readonly builtAt?: string;
  readonly coordinator?: string;
  readonly ca?: string;
  readonly commandLine?: string;
  readonly architecture: string;
  readonly secureBootKey?: string;
  readonly secureBootCert?: string;
  readonly iso: boolean;
  readonly check?: boolean;
  readonly cache?: string;
  readonly json?: boolean;
}

interface BuiltImage {
  readonly dir: string;
  readonly info: {
    readonly name: string;
    readonly sequence: number;
    readonly version: string;
    readonly builtAt: string;
    readonly coordinator?: string;
  };
  readonly kernelRelease: string;
  readonly commandLine: string;
  readonly signer: { readonly subject: string; readonly fingerprint: string } | null;
  readonly files: readonly {
    readonly name: string;
    readonly sizeBytes: number;
    readonly digest: string;
  }[];
  readonly reproduced: true | null;
  readonly warnings: readonly string[];
  readonly seconds: number;
}

interface Builder {
  buildImage(
    request: BuildOptions,
    io: Pick<CommandIo, 'clock' | 'signal' | 'env'> & { progress(line: string): void },
  ): Promise<BuiltImage>;
}

const ENTRY = new URL('../../../initramfs/main.ts', import.meta.url);

export function buildCommand(io: CommandIo): Command {
  const command = new Command('build')
    .description(
      'Build a boot image from Debian trixie and this tree: kernel, initramfs with the agent and your trust policy, UKI, loader, and an ISO for BIOS and UEFI. The same inputs give the same bytes. Needs root.',
    )
    .requiredOption('--policy <file>', 'the trust policy that its nodes enforce (JSON)')
    .requiredOption('--out <dir>', 'where the files go')
    .option('--name <name>', 'what the trust policy calls the image', 'boot-metal')
    .option('--sequence <number>', 'grows with each release; nodes take no older one (default: 1)')
    .option('--version <version>', 'for people, as 1.2.0 (default: that of billet)')
    .option('--built-at <time>', "floor of its nodes' clocks (default: when its kernel was built)")
    .option('--coordinator <url>', 'for machines that are told of no other')
    .option('--ca <digest>', "fingerprint of that coordinator's CA: billet status prints it")
    .option('--command-line <words>', "the kernel's words (default: screen and first serial line)")
    .option('--architecture <name>', 'what its machines are', 'amd64')
    .option('--secure-boot-key <file>', 'RSA key (PEM) to sign UKI and loader with')
    .option('--secure-boot-cert <file>', 'its certificate (PEM), which firmware has in db')
    .option('--no-iso', 'without billet.iso')
    .option('--check', 'build it twice, and compare')
    .option('--cache <dir>', 'what was built before (default: ~/.cache/billet)')
    .option('--json', 'print JSON for programs')
    .action(async (options: BuildOptions) => {
      const { clock, signal, env } = io;
      const progress = (line: string) => void io.stderr.write(`${line}\n`);
      const { buildImage } = await loadBuilder();
      const built = await buildImage(options, { clock, signal, env, progress });
      for (const warning of built.warnings) io.stderr.write(`warning: ${warning}\n`);
      emit(io, options.json === true, built, () => builtLines(built, io.columns));
    });
  return withExamples(
    command,
    'billet image build --policy trust-policy.json --out build/metal --sequence 7',
    'billet image build --policy trust-policy.json --out build/metal \\',
    '    --coordinator https://192.0.2.10:8443 --ca sha256:… \\',
    '    --secure-boot-key db.key --secure-boot-cert db.crt',
    'billet image build --policy trust-policy.json --out build/metal --check',
  );
}

/** By its address: the CLI starts the builder, which needs a clone, and shares no code with it. */
async function loadBuilder(): Promise<Builder> {
  if (existsSync(fileURLToPath(ENTRY))) return (await import(ENTRY.href)) as Builder;
  throw new BilletError('UNSUPPORTED', 'this installation has no builder of boot images', {
    hint: 'run it from a clone of Billet, as root: node cli/start.mjs image build …',
  });
}

const builtLines = (built: BuiltImage, width: number): readonly string[] => [
  ...listing(
    [
      ['image', `${built.info.name} ${built.info.version} (sequence ${built.info.sequence})`],
      ['kernel', built.kernelRelease],
      ['command line', built.commandLine || 'empty'],
      ['coordinator', built.info.coordinator ?? 'none: machines are told at boot'],
      ['no clock before', built.info.builtAt],
      ['Secure Boot', built.signer?.subject ?? 'not signed'],
      ...(built.reproduced === null ? [] : ([['built twice', 'the same bytes']] as const)),
      ['took', `${built.seconds} s`],
    ],
    width,
  ),
  '',
  ...listing(
    built.files.map(({ name, sizeBytes, digest }) => [name, `${bytes(sizeBytes)} ${digest}`]),
    width,
  ),
  '',
  `Next: billet image push ${built.dir} boot:stable`,
];
