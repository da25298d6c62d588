// Builds boot image and example layers by hand: node examples/modules/main.ts --policy FILE --out DIR
// DIR gets boot/ for `billet image push`, and base.tar, tools.tar and web.tar for `billet module pack`.

import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import { buildBootImage } from '../../initramfs/build.ts';
import { hostTrixieLines } from '../../setup/build/apt-sources.ts';
import { runScript } from '../../setup/build/script.ts';
import { buildLayer, RECIPES } from './recipe.ts';

const USAGE = 'node examples/modules/main.ts --policy trust-policy.json --out DIR [--cache DIR]';

/** One kernel and one agent in both: the system image has to fit the boot image. */
async function main(signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({
    options: { policy: { type: 'string' }, out: { type: 'string' }, cache: { type: 'string' } },
  });
  const { policy, out } = values;
  if (policy === undefined || out === undefined)
    throw new BilletError('ARGUMENT_INVALID', '--policy and --out are needed', { hint: USAGE });
  const context = {
    cacheDir: values.cache ?? cacheDirOf(process.env),
    clock: systemClock,
    signal,
    progress: (line: string) => void process.stderr.write(`${line}\n`),
  };
  const image = await buildBootImage({ ...context, trustPolicy: policy });
  await mkdir(join(out, 'boot'), { recursive: true });
  for (const name of ['kernel', 'initramfs', 'release'])
    await copyFile(join(image.dir, name), join(out, 'boot', name));
  const parts = {
    kernelRoot: image.bootRoot.root,
    kernelRelease: image.kernelRelease,
    node: image.bootRoot.node,
    agentDir: image.agentDir,
  };
  for (const name of RECIPES) {
    const layer = await buildLayer(name, parts, { ...context, aptLines: hostTrixieLines() });
    await copyFile(layer, join(out, `${name}.tar`));
  }
  process.stdout.write(
    `${out}: boot/ (kernel ${image.kernelRelease}), ${RECIPES.join('.tar, ')}.tar\n`,
  );
}

await runScript(main);
