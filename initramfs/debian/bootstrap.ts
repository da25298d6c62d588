// Debian roots by mmdebstrap(1): from the host's mirrors, as root, the same bytes for the same
// packages.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { execOrThrow, hostExec } from '../../agent/drivers/exec.ts';
import { type SourceFile, sourcesFor } from './sources.ts';

export const SUITE = 'trixie';
/** 2025-08-09, the day trixie was released. No file in a root is newer. */
export const SOURCE_DATE_EPOCH = 1_754_697_600;

export interface Bootstrap {
  /** mmdebstrap(1), --variant. `extract` unpacks without running maintainer scripts. */
  readonly variant: 'minbase' | 'extract';
  readonly packages: readonly string[];
  /** Programs that mmdebstrap runs with the root as their argument; absolute paths. */
  readonly customize?: readonly string[];
  /** Given to the hooks as environment variables. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Ends in .tar for a tar stream, else a directory. */
  readonly target: string;
}

/** Files that no machine reads; left out of every root. */
const EXCLUDED = [
  '/usr/share/man/*',
  '/usr/share/locale/*',
  '/usr/share/doc/*',
  '/usr/share/info/*',
  '/usr/share/lintian/*',
  '/usr/share/bash-completion/*',
  '/usr/share/zsh/*',
];

/** Text that names everything the root depends on, but for the state of the mirror. */
export const describeBootstrap = (bootstrap: Omit<Bootstrap, 'target'>): string =>
  JSON.stringify([SUITE, SOURCE_DATE_EPOCH, EXCLUDED, bootstrap.variant, bootstrap.packages]);

/** Throws UNSUPPORTED without root or mmdebstrap, COMMAND_FAILED with what mmdebstrap said. */
export async function bootstrap(
  options: Bootstrap,
  workDir: string,
  signal: AbortSignal,
): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new BilletError('UNSUPPORTED', 'building a Debian root needs root on this machine', {
      hint: 'run the same command with sudo',
    });
  const sources = join(workDir, `${SUITE}.sources`);
  await writeFile(sources, sourcesFor(SUITE, await hostSources()));
  const environment = {
    SOURCE_DATE_EPOCH: String(SOURCE_DATE_EPOCH),
    TMPDIR: workDir,
    ...options.environment,
  };
  await execOrThrow(
    hostExec,
    [
      'env',
      ...Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      'mmdebstrap',
      '--mode=root',
      '--quiet',
      `--variant=${options.variant}`,
      `--include=${options.packages.join(',')}`,
      ...EXCLUDED.map((glob) => `--dpkgopt=path-exclude=${glob}`),
      ...(options.customize ?? []).map((hook) => `--customize-hook=${hook}`),
      SUITE,
      options.target,
      sources,
    ],
    signal,
    'the mirror may be away: apt-get update shows whether the host reaches it',
  );
}

async function hostSources(): Promise<SourceFile[]> {
  const dir = '/etc/apt/sources.list.d';
  const listed = await readdir(dir).catch(ignoreAbsent([]));
  const paths = ['/etc/apt/sources.list', ...listed.map((name) => join(dir, name))];
  return await Promise.all(
    paths
      .filter((path) => /\.(list|sources)$/.test(path))
      .map(async (path) => ({
        name: path,
        text: await readFile(path, 'utf8').catch(ignoreAbsent('')),
      })),
  );
}

const ignoreAbsent =
  <T>(value: T) =>
  (error: NodeJS.ErrnoException): T => {
    if (error.code === 'ENOENT') return value;
    throw error;
  };
