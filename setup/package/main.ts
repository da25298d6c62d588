// `npm run package`: builds the Debian packages and says what came out. The one place of this folder that
// reads arguments.

import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '#shared/clock.ts';
import { sha256 } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { VERSION } from '#shared/version.ts';
import { runScript } from '../build/script.ts';
import { type BuiltPackage, buildPackages } from './build.ts';

const USAGE =
  'npm run package -- [--out DIR] [--version V] [--maintainer "NAME <ADDRESS>"] [--check]';
/** Who builds is who answers for it: DEBFULLNAME and DEBEMAIL (debchange(1)), or --maintainer. */
const NOBODY = 'Billet <billet@example.org>';

interface Words {
  readonly out: string;
  readonly version: string;
  readonly maintainer: string;
  /** Builds a second time, and compares. */
  readonly check: boolean;
}

function parse(args: readonly string[]): Words {
  const { DEBFULLNAME: name, DEBEMAIL: address } = process.env;
  const options = {
    out: { type: 'string', default: 'work/packages' },
    version: { type: 'string', default: VERSION },
    maintainer: { type: 'string', default: name && address ? `${name} <${address}>` : NOBODY },
    check: { type: 'boolean', default: false },
  } as const;
  try {
    return parseArgs({ args: [...args], options }).values;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BilletError('ARGUMENT_INVALID', why, { hint: `usage: ${USAGE}`, cause });
  }
}

async function main(signal: AbortSignal): Promise<void> {
  const { check, ...words } = parse(process.argv.slice(2));
  const progress = (line: string) => process.stderr.write(`${line}\n`);
  const start = systemClock.monotonic();
  const built = await buildPackages({ ...words, signal, progress });
  const seconds = (systemClock.monotonic() - start) / 1000;
  for (const { file, sizeBytes } of built)
    process.stdout.write(`${join(words.out, basename(file))}  ${megabytes(sizeBytes)}\n`);
  process.stderr.write(`${built.length} packages in ${seconds.toFixed(1)} s\n`);
  if (!check) return;
  const again = join(words.out, '.again');
  try {
    await assertSame(built, await buildPackages({ ...words, out: again, signal, progress }));
  } finally {
    await rm(again, { recursive: true, force: true });
  }
  process.stderr.write('built twice: the same bytes\n');
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2)} MB`;

async function assertSame(
  first: readonly BuiltPackage[],
  second: readonly BuiltPackage[],
): Promise<void> {
  const digests = async (packages: readonly BuiltPackage[]) =>
    await Promise.all(packages.map(async ({ file }) => sha256(await readFile(file))));
  const [before, after] = [await digests(first), await digests(second)];
  const different = first.filter((_, index) => before[index] !== after[index]);
  if (different.length === 0) return;
  throw new BilletError(
    'INTERNAL',
    `built twice, these differ: ${different.map(({ name }) => name).join(', ')}`,
    { hint: 'compare them with diffoscope(1): a date, an order or a path has got in' },
  );
}

await runScript(main);
