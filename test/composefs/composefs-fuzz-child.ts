// A thread that judges one input after the other, and says in shared memory which one it is at, so
// that whoever watches can name an input that never ends or takes all memory.

import { workerData } from 'node:worker_threads';
import {
  judgeDump,
  judgeImage,
  judgeTar,
  mutated,
  type Outcome,
} from '#shared/artifact/composefs/fuzz-testing.ts';
import { hostileTar, mendChecksums } from '#shared/artifact/composefs/hostile-tar-testing.ts';
import { type Random, randomOf } from '#shared/artifact/composefs/random-testing.ts';

export const FAMILIES = ['hostile tar', 'mutated tar', 'image', 'dump', 'noise'] as const;
export type Family = (typeof FAMILIES)[number];

export interface FuzzWork {
  readonly family: Family;
  readonly firstSeed: number;
  readonly count: number;
  /** What is mutated. */
  readonly sources: readonly Uint8Array[];
  /** [seed under way, inputs read, inputs refused]; -1 for the seed at the end. */
  readonly state: Int32Array;
}

/** The input of a seed; the same with the same sources. */
export function inputOf({ family, sources }: FuzzWork, seed: number): Buffer {
  const random = randomOf(seed);
  const source = (): Buffer => Buffer.from(random.pick(sources));
  switch (family) {
    case 'hostile tar':
      return hostileTar(random);
    case 'mutated tar': {
      const tar = mutated(random, source(), 512);
      return random.chance(0.8) ? mendChecksums(tar) : tar;
    }
    case 'image':
      return mutated(random, source(), random.pick([32, 512, 4096]));
    case 'dump':
      return mutated(random, source(), random.pick([16, 100]));
    case 'noise':
      return noise(random, source());
  }
}

/** Random bytes, behind the beginning of something real at times. */
function noise(random: Random, source: Buffer): Buffer {
  const bytes = random.bytes(random.pick([0, 1, 511, 512, 4096, 20_480]));
  source.copy(bytes, 0, 0, random.pick([0, 4, 512, 1152, 1300]));
  return bytes;
}

async function judge(family: Family, input: Buffer): Promise<Outcome> {
  if (family === 'image') return await judgeImage(input);
  if (family === 'dump') return await judgeDump(input);
  if (family === 'noise') {
    await judgeImage(input);
    await judgeDump(input);
  }
  return await judgeTar(input);
}

async function run(work: FuzzWork): Promise<void> {
  for (let seed = work.firstSeed; seed < work.firstSeed + work.count; seed += 1) {
    Atomics.store(work.state, 0, seed);
    const outcome = await judge(work.family, inputOf(work, seed));
    Atomics.add(work.state, outcome === 'read' ? 1 : 2, 1);
  }
  Atomics.store(work.state, 0, -1);
}

if (workerData !== null) await run(workerData as FuzzWork);
