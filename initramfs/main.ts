// Builds a boot image by hand: node initramfs/main.ts --policy FILE --out DIR [--cache DIR]

import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { buildBootImage } from './build.ts';

const USAGE = 'node initramfs/main.ts --policy trust-policy.json --out DIR [--cache DIR]';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { policy: { type: 'string' }, out: { type: 'string' }, cache: { type: 'string' } },
  });
  if (values.policy === undefined || values.out === undefined)
    throw new BilletError('ARGUMENT_INVALID', '--policy and --out are needed', { hint: USAGE });
  TrustPolicy.parse(JSON.parse(await readFile(values.policy, 'utf8')));
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => abort.abort());
  const image = await buildBootImage({
    cacheDir: values.cache ?? join(homedir(), '.cache/billet'),
    clock: systemClock,
    trustPolicy: values.policy,
    signal: abort.signal,
    progress: (line) => process.stderr.write(`${line}\n`),
  });
  await mkdir(values.out, { recursive: true });
  for (const name of ['kernel', 'initramfs', 'release'])
    await copyFile(join(image.dir, name), join(values.out, name));
  process.stdout.write(`${values.out}: kernel ${image.kernelRelease} and initramfs\n`);
}

await main().catch((error: unknown) => {
  const hint = error instanceof BilletError ? `\nhint: ${error.hint}` : '';
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}${hint}\n`);
  process.exitCode = 1;
});
