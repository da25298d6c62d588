// fs-verity digests in JavaScript beside plain SHA-256 of the same bytes: what hashing costs where
// the kernel does not do it.

import { hash } from 'node:crypto';
import { fsverityHasher } from '#shared/artifact/composefs/fsverity.ts';
import type { Bench } from '../bench.ts';
import { alternating, median, megabytesPerSecond } from '../sample.ts';

const TOTAL_BYTES = 64 << 20;
const SMALL_BYTES = 6000;
const ROUNDS = 5;

export const digest: Bench = {
  name: 'host/digest',
  limitMs: 60_000,
  needsArtifacts: false,
  async run({ clock, signal }) {
    const bytes = Buffer.alloc(TOTAL_BYTES);
    for (let at = 0; at < TOTAL_BYTES; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
    const verity = (content: Buffer): Buffer => {
      const hasher = fsverityHasher();
      hasher.update(content);
      return hasher.digest();
    };
    const smallFiles = (work: (content: Buffer) => unknown): void => {
      for (let at = 0; at < TOTAL_BYTES; at += SMALL_BYTES)
        work(bytes.subarray(at, at + SMALL_BYTES));
    };
    const sha256 = (content: Buffer): string => hash('sha256', content);
    const times = await alternating(clock, signal, ROUNDS, [
      { run: () => verity(bytes) },
      { run: () => sha256(bytes) },
      { run: () => smallFiles(verity) },
      { run: () => smallFiles(sha256) },
    ]);
    const [large = 0, largeSha = 0, small = 0, smallSha = 0] = times.map((list) =>
      megabytesPerSecond(TOTAL_BYTES, median(list)),
    );
    const common = { unit: 'MB/s', target: null };
    return [
      {
        ...common,
        name: 'fs-verity, one large file, one core',
        value: large,
        yardstick: { name: 'SHA-256 of the same', value: largeSha },
      },
      {
        ...common,
        name: `fs-verity, files of ${SMALL_BYTES} bytes`,
        value: small,
        yardstick: { name: 'SHA-256 of the same', value: smallSha },
      },
    ];
  },
};
