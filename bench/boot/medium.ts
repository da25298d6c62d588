// How long a boot image takes to build, from nothing and after a change of what is baked in, and how large
// its files are.

import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type BootMedium, buildMedium } from '../../initramfs/medium.ts';
import type { Bench, BenchContext, Figure } from '../bench.ts';

export const medium: Bench = {
  name: 'boot/medium',
  limitMs: 1_200_000,
  needsArtifacts: true,
  async run(context) {
    const cacheDir = join(context.dir, 'cache');
    await mkdir(cacheDir);
    context.progress('a boot image and its ISO, from nothing');
    const nothing = await timed(context, cacheDir, '0.1.0');
    const again = await timed(context, cacheDir, '0.1.1');
    return [
      seconds('image build, from nothing', nothing.seconds, 'packages fetched, zstd at its best'),
      seconds('image build, other words baked in', again.seconds, 'initramfs, UKI, ISO anew'),
      ...(await sizes(again.made)),
    ];
  },
};

async function timed(context: BenchContext, cacheDir: string, version: string) {
  const { clock, signal, progress, artifacts } = context;
  const start = clock.monotonic();
  const made = await buildMedium({
    ...{ cacheDir, clock, signal, progress },
    trustPolicy: artifacts().keys.policy,
    info: { version },
  });
  return { made, seconds: (clock.monotonic() - start) / 1000 };
}

const seconds = (name: string, value: number, note: string): Figure => ({
  ...{ name, value, note },
  unit: 's',
  target: null,
});

const sizes = ({ kernel, initramfs, uki, iso }: BootMedium): Promise<Figure[]> =>
  Promise.all(
    Object.entries({ kernel, initramfs, uki, iso }).map(async ([name, path]) => ({
      name: `  ${name}`,
      value: (await stat(path)).size / 1e6,
      unit: 'MB',
      target: null,
    })),
  );
