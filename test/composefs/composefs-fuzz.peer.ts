// Tens of thousands of broken tar streams, EROFS images and dumps: each is read or refused with a
// code, in bounded time and memory. The seeds are fixed; a failure prints the seed of its input, and
// BILLET_FUZZ_SEED=N makes a run begin there (a run with other seeds: any other number).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { gunzipSync } from 'node:zlib';
import { formatDump } from '#shared/artifact/composefs/dump.ts';
import { composeImage } from '#shared/artifact/composefs/image.ts';
import { randomTree } from '#shared/artifact/composefs/random-tree-testing.ts';
import { tarOfTree } from '#shared/artifact/composefs/tree-tar-testing.ts';
import { FAMILIES, type Family, type FuzzWork } from './composefs-fuzz-child.ts';
import { workshop } from './composefs-mount-fixture.ts';

const COUNT = 8000;
const FIRST_SEED = Number(process.env.BILLET_FUZZ_SEED ?? 1);
/** One input takes a few milliseconds; this is for a machine that is busy with something else. */
const INPUT_LIMIT_MS = 15_000;
const HEAP_LIMIT_MB = 200;
const RSS_LIMIT_BYTES = 700 << 20;

const vectors = new URL('../../shared/artifact/composefs/testdata/', import.meta.url);
const vectorsOf = (suffix: string): Buffer[] =>
  readdirSync(vectors)
    .filter((name) => name.endsWith(suffix))
    .map((name) => gunzipSync(readFileSync(new URL(name, vectors))))
    .filter((bytes) => bytes.length < 200_000);

/** Every format that GNU tar writes, of one tree; with sparse files, too. */
function realTars(t: TestContext): Buffer[] {
  const shop = workshop(t);
  const [tree, packed] = [join(shop.folder, 'tree'), join(shop.folder, 'packed.tar')];
  mkdirSync(tree);
  writeFileSync(join(tree, 'file'), 'content'.repeat(100));
  writeFileSync(join(tree, 'sparse'), 'begin');
  truncateSync(join(tree, 'sparse'), 60_000);
  writeFileSync(join(tree, 'n'.repeat(150)), '');
  shop.run('ln', join(tree, 'file'), join(tree, 'hard'));
  shop.run('ln', '-s', 'x'.repeat(120), join(tree, 'soft'));
  shop.run('mkfifo', join(tree, 'pipe'));
  const old = ['--exclude=n*', '--exclude=soft'];
  const formats: readonly string[][] = [
    ['--format=gnu'],
    ['--format=oldgnu', '--sparse'],
    ['--format=pax'],
    ['--format=pax', '--sparse'],
    ['--format=ustar', ...old],
    ['--format=v7', '--exclude=pipe', ...old],
  ];
  return formats.map((options) => {
    shop.run('tar', '-c', '-f', packed, ...options, '-C', tree, '.');
    return readFileSync(packed);
  });
}

const small = [1, 2, 3, 4].map((seed) => randomTree(seed, 30, 'disk'));
const SOURCES: Readonly<Record<Family, (t: TestContext) => Buffer[]>> = {
  'hostile tar': () => [],
  'mutated tar': (t) => [...small.map(tarOfTree), ...realTars(t)],
  image: () => [...vectorsOf('.erofs.gz'), ...small.map(({ tree }) => composeImage(tree).bytes)],
  dump: () => [...vectorsOf('.dump.gz'), ...small.map(({ tree }) => formatDump(tree))],
  noise: () => [...vectorsOf('.erofs.gz'), ...small.map(tarOfTree)],
};

for (const family of FAMILIES)
  test(`${COUNT} inputs (${family}) are read or refused with a code, quickly`, async (t) => {
    const state = new Int32Array(new SharedArrayBuffer(12));
    const sources = SOURCES[family](t);
    const work: FuzzWork = { family, firstSeed: FIRST_SEED, count: COUNT, sources, state };
    const rssBefore = process.resourceUsage().maxRSS * 1024;
    await watched(work);
    assert.equal(state[0], -1);
    const [, read = 0, refused = 0] = state;
    assert.equal(read + refused, COUNT);
    t.diagnostic(`${read} read, ${refused} refused`);
    // A family of which nothing, or all, is refused would prove little.
    if (family !== 'noise') assert.ok(read > COUNT / 50 && refused > COUNT / 50, `${read} read`);
    const grown = process.resourceUsage().maxRSS * 1024 - rssBefore;
    assert.ok(grown < RSS_LIMIT_BYTES, `${family}: ${grown} bytes of memory`);
  });

/** Ends with an error that names the seed when the thread fails, hangs or takes too much memory. */
async function watched(work: FuzzWork): Promise<void> {
  const worker = new Worker(new URL('./composefs-fuzz-child.ts', import.meta.url), {
    workerData: work,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB },
  });
  let last = -2;
  let hung = false;
  const watchdog = setInterval(() => {
    const now = Atomics.load(work.state, 0);
    hung = now === last && now !== -1;
    last = now;
    if (hung) void worker.terminate();
  }, INPUT_LIMIT_MS);
  try {
    await once(worker, 'exit');
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    assert.fail(`${work.family}, seed ${work.state[0]}: ${text}`);
  } finally {
    clearInterval(watchdog);
    await worker.terminate();
  }
  assert.ok(!hung, `${work.family}, seed ${work.state[0]}: no end after ${INPUT_LIMIT_MS} ms`);
}
