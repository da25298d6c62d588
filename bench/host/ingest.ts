// From the bytes of a layer to objects in a store: reading the tar, hashing, writing, naming. The
// layer is that of the base module, uncompressed and in memory.

import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readLayer } from '#shared/artifact/composefs/layer.ts';
import { digestSink } from '#shared/artifact/composefs/object-sink.ts';
import { openStore } from '../../agent/store/open-store.ts';
import { type Ingest, startIngest } from '../../agent/store/slab-sink.ts';
import { objectThreads } from '../../agent/store/threads.ts';
import { run } from '../../setup/build/drivers/run.ts';
import type { Bench, BenchContext, Figure } from '../bench.ts';
import { alternating, median, megabytesPerSecond } from '../sample.ts';
import { type FreshDisk, freshDisk } from './fresh-disk.ts';

const ROUNDS = 5;
const CHUNK_BYTES = 1 << 20;
const THREADS = 2;
const LARGE_BYTES = 48 << 20;
const LARGE_FILES = 4;

export const ingest: Bench = {
  name: 'host/ingest',
  limitMs: 180_000,
  needsArtifacts: true,
  async run(context) {
    const { signal, dir } = context;
    const disk = await freshDisk(dir, signal);
    try {
      return await measure(context, disk);
    } finally {
      disk.release();
    }
  },
};

async function measure(context: BenchContext, disk: FreshDisk): Promise<readonly Figure[]> {
  const { clock, signal, artifacts } = context;
  const tarPath = artifacts().layers.base;
  const tar = await readFile(tarPath);
  const content = Buffer.alloc(LARGE_BYTES, 'content of a large file ');
  let entries = 0;
  const after = disk.settle;
  const at = (what: string, round: number): string => join(disk.path, `${what}-${round}`);
  const readOnly = async (): Promise<void> => {
    entries = (await readLayer(chunksOf(tar), digestSink())).entries.length;
  };
  const storeLayer = (sink: Ingest) => readLayer(chunksOf(tar), sink);
  const times = await alternating(clock, signal, ROUNDS, [
    { run: readOnly },
    { run: (round) => intoStore(at('store', round), storeLayer), after },
    { run: (round) => extract(context, tarPath, at('tar', round)), after },
    { run: (round) => intoStore(at('large', round), (sink) => largeFiles(content, sink)), after },
  ]);
  const rate = (index: number, bytes: number): number =>
    megabytesPerSecond(bytes, median(times[index] ?? []));
  const { size } = await stat(tarPath);
  const layer = `${(size / 1e6).toFixed(0)} MB, ${entries} entries`;
  return [
    {
      name: 'base layer into the store',
      value: rate(1, size),
      unit: 'MB/s',
      target: { at: 'least', value: 300 },
      yardstick: { name: 'tar -x of the same layer', value: rate(2, size) },
      note: `${layer}; ${THREADS} threads, fs-verity computed; median of ${ROUNDS}`,
    },
    {
      name: 'large files into the store',
      value: rate(3, LARGE_FILES * LARGE_BYTES),
      unit: 'MB/s',
      target: { at: 'least', value: 300 },
      note: `${LARGE_FILES} of ${LARGE_BYTES >> 20} MiB`,
    },
    {
      name: 'base layer read, nothing stored',
      value: rate(0, size),
      unit: 'MB/s',
      target: null,
      note: 'tar and fs-verity in one thread',
    },
  ];
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
}

/** A round pays for its threads, as a pull does. */
async function intoStore(dir: string, work: (sink: Ingest) => Promise<unknown>): Promise<void> {
  await (await openStore({ dir })).close();
  const threads = objectThreads({ dir, verity: false }, THREADS);
  try {
    const sink = startIngest(threads, 'bench');
    try {
      await work(sink);
    } finally {
      await sink.close();
    }
  } finally {
    await threads.close();
  }
}

async function largeFiles(content: Buffer, sink: Ingest): Promise<void> {
  for (let file = 0; file < LARGE_FILES; file += 1) {
    const writer = sink.begin(content.length);
    for (let at = 0; at < content.length; at += CHUNK_BYTES) {
      const chunk = content.subarray(at, at + CHUNK_BYTES);
      // Files that differ: equal ones would be one object.
      await writer.write(
        at === 0 ? Buffer.concat([Buffer.from([file]), chunk.subarray(1)]) : chunk,
      );
    }
    await writer.end();
  }
}

async function extract({ signal }: BenchContext, tarPath: string, dir: string): Promise<void> {
  await mkdir(dir);
  await run(['tar', '-x', '--numeric-owner', '-f', tarPath, '-C', dir], { signal });
}
