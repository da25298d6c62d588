// Builds a boot image by hand: node initramfs/main.ts --policy FILE --out DIR [--cache DIR] [--check]
// With --check, all of it is made a second time from nothing, from the same bundle of the agent, and has to
// have the same bytes.

import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { assertDigest } from '#shared/digest.ts';
import { BilletError } from '#shared/errors.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { fileDigest } from '../setup/build/cache.ts';
import { runScript } from '../setup/build/script.ts';
import { type BootImage, type BootImageOptions, buildBootImage } from './build.ts';

const USAGE = 'node initramfs/main.ts --policy trust-policy.json --out DIR [--cache DIR] [--check]';
const FILES = ['kernel', 'initramfs', 'release'] as const;

async function main(signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    options: {
      policy: { type: 'string' },
      out: { type: 'string' },
      cache: { type: 'string' },
      check: { type: 'boolean', default: false },
    },
  });
  if (values.policy === undefined || values.out === undefined)
    throw new BilletError('ARGUMENT_INVALID', '--policy and --out are needed', { hint: USAGE });
  const policy = TrustPolicy.safeParse(JSON.parse(await readFile(values.policy, 'utf8')));
  if (!policy.success)
    throw new BilletError('POLICY_INVALID', z.prettifyError(policy.error), {
      hint: `correct ${values.policy}: every node of this image enforces it`,
    });
  const options = {
    cacheDir: resolve(values.cache ?? cacheDirOf(process.env)),
    clock: systemClock,
    trustPolicy: values.policy,
    signal,
    progress: (line: string) => process.stderr.write(`${line}\n`),
  };
  const image = await buildBootImage(options);
  if (values.check) await buildAgainAndCompare(image, options);
  await mkdir(values.out, { recursive: true });
  for (const name of FILES) await copyFile(join(image.dir, name), join(values.out, name));
  process.stdout.write(`${values.out}: kernel ${image.kernelRelease} and initramfs\n`);
}

/** Throws DIGEST_MISMATCH, naming the file, when the second build differs. */
async function buildAgainAndCompare(first: BootImage, options: BootImageOptions): Promise<void> {
  await mkdir(options.cacheDir, { recursive: true });
  const cacheDir = await mkdtemp(join(options.cacheDir, 'check-'));
  try {
    const { agentDir } = first;
    const second = await buildBootImage({ ...options, agentDir, cacheDir });
    for (const name of FILES) {
      const digest = await fileDigest(join(first.dir, name));
      assertDigest(await readFile(join(second.dir, name)), digest, `${name} of the second build`);
      process.stdout.write(`${name}: ${digest}, twice\n`);
    }
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

await runScript(main);
