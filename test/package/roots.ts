// The Debian trixie systems that packages are tried in, from the cache: one that apt may install into,
// and one with the tool that checks packages. Only read by the tests: they write into layers above.

import { join } from 'node:path';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { sha256 } from '#shared/digest.ts';
import { hostTrixieLines } from '../../setup/build/apt-sources.ts';
import { cached } from '../../setup/build/cache.ts';
import { buildDebianRoot } from '../../setup/build/debian-root.ts';

const ROOTS = {
  /** A small server: what the packages depend on, and what makes it a machine that boots. */
  'package-system': [
    ...['dbus', 'e2fsprogs', 'iproute2', 'kmod', 'libatomic1', 'libstdc++6', 'systemd'],
    ...['systemd-sysv', 'udev'],
  ],
  'package-lintian': ['lintian', 'man-db'],
} as const;

/** Its directory. The first call takes a minute or two. */
export async function debianRoot(kind: keyof typeof ROOTS, signal: AbortSignal): Promise<string> {
  const packages: readonly string[] = ROOTS[kind];
  const aptLines = hostTrixieLines();
  const place = { cacheDir: cacheDirOf(process.env), clock: systemClock };
  const inputs = { packages: packages.join(' '), archives: sha256(aptLines.join('\n')) };
  const entry = await cached(place, kind, inputs, async (dir) => {
    const progress = (line: string) => process.stderr.write(`# ${line}\n`);
    await buildDebianRoot(dir, { variant: 'minbase', packages }, { aptLines, signal, progress });
  });
  return join(entry, 'root');
}
