// Two system modules of 5,500 files to one image with its digest: what a node does at each boot
// between the last byte pulled and the mount. Touches no disk.

import { composeImage } from '#shared/artifact/composefs/image.ts';
import { mergeModules } from '#shared/artifact/composefs/merge.ts';
import type { Bench } from '../bench.ts';
import { median, timed } from '../sample.ts';
import { debianLikeTree } from './debian-like-tree.ts';

const ROUNDS = 11;

export const compose: Bench = {
  name: 'host/compose',
  limitMs: 60_000,
  needsArtifacts: false,
  async run({ clock, signal }) {
    const modules = [
      { name: 'base', priority: 0, replaces: [], tree: debianLikeTree('base', 5000) },
      { name: 'tools', priority: 1, replaces: [], tree: debianLikeTree('tools', 500) },
    ];
    let imageBytes = 0;
    const work = (): void => {
      imageBytes = composeImage(mergeModules(modules)).bytes.length;
    };
    const first = await timed(clock, work);
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      signal.throwIfAborted();
      times.push(await timed(clock, work));
    }
    const image = `merge, EROFS image of ${(imageBytes / 1e6).toFixed(1)} MB, its digest`;
    return [
      {
        name: 'composing 5,500 files, first time',
        value: first / 1000,
        unit: 's',
        target: { at: 'most', value: 0.5 },
        note: `${image}; code that has not run before, as on a node`,
      },
      {
        name: 'composing 5,500 files, again',
        value: median(times) / 1000,
        unit: 's',
        target: { at: 'most', value: 0.5 },
        note: `median of ${ROUNDS}`,
      },
    ];
  },
};
