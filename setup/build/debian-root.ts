// A Debian trixie root in a directory, from the host's own archives. Needs root; changes nothing on
// the host.

import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { SUITE } from './apt-sources.ts';
import { type Argv, run } from './drivers/run.ts';

export interface DebianRoot {
  /** `minbase`: configured, with what is essential. `extract`: unpacked packages, no more. */
  readonly variant: 'minbase' | 'extract';
  readonly packages: readonly string[];
  /** Shell run at the end with the root as `$1`. */
  readonly customize?: string;
}

export interface DebianRootContext {
  readonly aptLines: readonly string[];
  readonly signal: AbortSignal;
  readonly progress: (line: string) => void;
}

/** base-files makes these links, and an extracted root need not have it. */
const MERGE_USR = `cd "$1" && for dir in bin sbin lib lib64; do
  mkdir -p "usr/$dir" && { [ -L "$dir" ] || ln -s "usr/$dir" "$dir"; }
done`;

/** Throws UNSUPPORTED for users other than root, who can neither chroot nor make device nodes. */
function assertRoot(what: string): void {
  if (process.getuid?.() !== 0)
    throw new BilletError('UNSUPPORTED', `${what} needs root: it unpacks Debian packages`, {
      hint: 'run the same command with sudo',
    });
}

/** Fills `dir/root`. The same packages give the same bytes. */
export async function buildDebianRoot(
  dir: string,
  spec: DebianRoot,
  { aptLines, signal, progress }: DebianRootContext,
): Promise<void> {
  assertRoot('building a Debian root');
  const root = join(dir, 'root');
  const sources = join(dir, 'sources.list');
  await writeFile(sources, `${aptLines.join('\n')}\n`);
  const argv: Argv = [
    ...(['mmdebstrap', '--mode=root', '--format=directory', '--architectures=amd64'] as const),
    ...[`--variant=${spec.variant}`, `--include=${spec.packages.join(',')}`],
    ...(await hostAptOptions(signal)).map((option) => `--aptopt=${option}`),
    ...(spec.variant === 'extract' ? [`--setup-hook=${MERGE_USR}`] : []),
    ...(spec.customize ? [`--customize-hook=${spec.customize}`] : []),
    ...[SUITE, root, sources],
  ];
  await run(argv, {
    signal,
    onLine: progress,
    hint: 'check that this machine reaches its Debian archive: apt-get update',
  });
  await rm(sources);
}

/** How this host reaches its archive, and whether that may be older than its own date says. */
async function hostAptOptions(signal: AbortSignal): Promise<string[]> {
  const names = ['Check-Valid-Until', 'Check-Date', 'http::Proxy', 'https::Proxy', 'Retries'];
  const argv = names.map((name) => `Acquire::${name}`);
  const dump = await run(['apt-config', 'dump', '--format', '%f "%v";%n', ...argv], { signal });
  return dump.split('\n').filter(Boolean);
}
