// What the suites of the packages share: the packages, built once for the same sources, and Debian
// trixie systems from the cache that they are tried in. Those are only read: tests write into layers above.

import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { hostTrixieLines } from '../../setup/build/apt-sources.ts';
import { cached, fileDigest, treeDigest } from '../../setup/build/cache.ts';
import { buildDebianRoot } from '../../setup/build/debian-root.ts';
import { buildPackages, type PackageOptions } from '../../setup/package/build.ts';
import { PACKAGES, type PackageName } from '../../setup/package/packages.ts';
import { cacheDirOf } from '../../shared/build-cache.ts';
import { systemClock } from '../../shared/clock.ts';
import { sha256 } from '../../shared/digest.ts';
import { type OverlayRoot, overlayRoot } from './overlay-root.ts';

export const VERSION = '0.1.0';
/** Before it, as dpkg sorts: deb-version(7). */
export const OLDER_VERSION = '0.1.0~1';

/** A small server: what the packages depend on, and what makes it a machine that boots. */
const SERVER = [
  ...['dbus', 'e2fsprogs', 'iproute2', 'kmod', 'libatomic1', 'libstdc++6', 'systemd'],
  ...['systemd-sysv', 'udev'],
];

const ROOTS = {
  'package-system': SERVER,
  /** With Nix, and what a Disko script of the tests lays out a disk with. */
  'nix-system': [...SERVER, 'fdisk', 'nix-bin'],
  'package-lintian': ['lintian', 'man-db'],
} as const;

const TREE = join(import.meta.dirname, '../..');
const SOURCES = ['agent', 'cli', 'coordinator', 'setup', 'shared', 'systemd'];
const place = () => ({ cacheDir: cacheDirOf(process.env), clock: systemClock });
const progress = (line: string) => process.stderr.write(`# ${line}\n`);

export type RootKind = keyof typeof ROOTS;

/** The directory of a system. The first call takes a minute or two. */
export async function debianRoot(kind: RootKind, signal: AbortSignal): Promise<string> {
  const packages: readonly string[] = ROOTS[kind];
  const aptLines = hostTrixieLines();
  const inputs = { packages: packages.join(' '), archives: sha256(aptLines.join('\n')) };
  const entry = await cached(place(), kind, inputs, async (dir) => {
    progress(`building ${kind}`);
    await buildDebianRoot(
      dir,
      { variant: 'minbase', packages },
      { aptLines, signal, progress: () => undefined },
    );
  });
  return join(entry, 'root');
}

/** Builds them anew. */
export const build = (options: Pick<PackageOptions, 'out' | 'signal'> & Partial<PackageOptions>) =>
  buildPackages({
    ...{ version: VERSION, maintainer: 'A Person <person@example.org>' },
    ...{ progress: () => undefined },
    ...options,
  });

/** The file of each package of these sources, and of the agent of the version before. */
export interface PackageFiles {
  readonly current: Readonly<Record<PackageName, string>>;
  readonly olderAgent: string;
}

export async function packageFiles(signal: AbortSignal): Promise<PackageFiles> {
  const digests = await Promise.all(SOURCES.map((name) => treeDigest(join(TREE, name))));
  const inputs = {
    sources: sha256(digests.join(' ')),
    lock: await fileDigest(join(TREE, 'package-lock.json')),
  };
  const dir = await cached(place(), 'packages', inputs, async (out) => {
    progress('building the packages');
    await build({ out, signal });
    await build({ out, signal, version: OLDER_VERSION, only: ['billet-agent'] });
  });
  const fileOf = (name: string, version: string): string => {
    const [file] = globSync(join(dir, `${name}_${version}_amd64.deb`));
    assert.ok(file, `${name} ${version}`);
    return file;
  };
  const current = PACKAGES.map(({ name }) => [
    name,
    fileOf(name, name === 'billet-runtime' ? '[0-9]*' : VERSION),
  ]);
  return {
    current: Object.fromEntries(current) as Record<PackageName, string>,
    olderAgent: fileOf('billet-agent', OLDER_VERSION),
  };
}

/** A fresh system with these packages at hand. */
export async function freshSystem(
  kind: RootKind,
  files: readonly string[],
  signal: AbortSignal,
): Promise<OverlayRoot> {
  const root = overlayRoot(await debianRoot(kind, signal));
  root.give(files);
  return root;
}

/** Runs what has to succeed. */
export function must(root: OverlayRoot, command: string): string {
  const { code, output } = root.run(command);
  assert.equal(code, 0, `${command}: ${output}`);
  return output;
}

export const install = (root: OverlayRoot, files: readonly string[], options = ''): string =>
  must(
    root,
    `apt-get install -y ${options} ${files.map((file) => `/packages/${basename(file)}`).join(' ')}`,
  );
