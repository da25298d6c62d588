// Tools that tests hold Billet against and that bookworm lacks: Debian trixie's packages, unpacked
// into the cache. Installs nothing on the host; apt checks the archive's signatures.

import { globSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { hostTrixieLines } from './apt-sources.ts';
import { cached } from './cache.ts';
import { type Argv, run } from './drivers/run.ts';

/** Static but for libc, which every Debian from bookworm on has. Name and release of each. */
const TOOLS = { cosign: '2.5', 'docker-registry': '2.8', kubectl: '1.32', oras: '1.2' } as const;

/** The path of each program. */
export type PeerTools = Readonly<Record<keyof typeof TOOLS, string>>;

export interface PeerToolsContext {
  readonly cacheDir: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * The programs, downloaded at the first call and found in the cache afterwards. Throws COMMAND_FAILED
 * where the archive is out of reach, UNSUPPORTED where it has another release than the tests know.
 */
export async function peerTools(context: PeerToolsContext): Promise<PeerTools> {
  const aptLines = hostTrixieLines();
  const inputs = { tools: JSON.stringify(TOOLS), apt: aptLines.join('\n') };
  const entry = await cached(context, 'peer-tools', inputs, async (dir) => {
    const downloads = await download(join(dir, 'apt'), aptLines, context.signal);
    for (const file of downloads) await run(['dpkg-deb', '--extract', file, dir], context);
    await rm(join(dir, 'apt'), { recursive: true });
  });
  const bin = join(entry, 'usr/bin');
  return {
    cosign: join(bin, 'cosign'),
    // Unpacked, not installed: the package would start it, for everybody to reach.
    'docker-registry': join(bin, 'docker-registry'),
    kubectl: join(bin, 'kubectl'),
    oras: join(bin, 'oras'),
  };
}

/** Packages in `dir`, whose apt has lists and a cache of its own; proxies and keys are the host's. */
async function download(
  dir: string,
  aptLines: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  await mkdir(join(dir, 'lists/partial'), { recursive: true });
  await mkdir(join(dir, 'archives/partial'), { recursive: true });
  await writeFile(join(dir, 'sources.list'), `${aptLines.join('\n')}\n`);
  const settings = [
    `Dir::Etc::SourceList=${join(dir, 'sources.list')}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${join(dir, 'lists')}`,
    `Dir::Cache=${dir}`,
    'Acquire::Languages=none',
    // Whatever this machine has installed, under the same name from elsewhere too, is not asked.
    'Dir::State::status=/dev/null',
    // The cache belongs to whoever builds, and apt's own user could not write there.
    'APT::Sandbox::User=root',
  ].flatMap((setting) => ['-o', setting]);
  const apt = (...words: readonly string[]): Argv => ['apt-get', '--quiet', ...settings, ...words];
  const hint = 'check that this machine reaches its Debian archive: apt-get update';
  await run(apt('update', '--error-on=any'), { signal, hint });
  await run(apt('download', ...Object.keys(TOOLS)), { signal, cwd: dir, hint });
  return Object.entries(TOOLS).map(([name, release]) => packageFile(dir, name, release));
}

function packageFile(dir: string, name: string, release: string): string {
  const [file = 'nothing'] = globSync(join(dir, `${name}_*.deb`));
  if (basename(file).startsWith(`${name}_${release}.`)) return file;
  throw new BilletError('UNSUPPORTED', `${name} ${release} is wanted, apt has ${basename(file)}`, {
    hint: 'point a source in /etc/apt at an archive of Debian trixie, or mend setup/build/peer-tools.ts',
  });
}
