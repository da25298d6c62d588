// The base module from the embedded registry into a store, verified, beside `skopeo copy` of the
// same image from the same registry. In turn, so that both meet the same machine.

import { once } from 'node:events';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { copyArtifact } from '#shared/artifact/oci/copy.ts';
import { openLayout } from '#shared/artifact/oci/layout.ts';
import { openRegistry } from '#shared/artifact/oci/registry.ts';
import { parseImageManifest } from '#shared/artifact/oci/schema.ts';
import { type Digest, hexOf } from '#shared/digest.ts';
import type { ModuleRef } from '#shared/schema/module.ts';
import { TrustPolicy } from '#shared/schema/trust-policy.ts';
import { openStore } from '../../agent/store/open-store.ts';
import { readModuleRef } from '../../cli/artifact/module-ref.ts';
import { run } from '../../setup/build/drivers/run.ts';
import type { Bench, BenchContext } from '../bench.ts';
import { alternating, median } from '../sample.ts';
import { freshDisk } from './fresh-disk.ts';

const ROUNDS = 7;
const TAG = 'stable';

export const pull: Bench = {
  name: 'host/pull',
  limitMs: 240_000,
  needsArtifacts: true,
  async run(context) {
    const { clock, signal, dir } = context;
    const server = await startRegistry(join(dir, 'registry'));
    const disk = await freshDisk(dir, signal);
    try {
      const { ref, policy, layers } = await publish(context, server.origin);
      const at = (what: string, round: number): string => join(disk.path, `${what}-${round}`);
      const times = await alternating(clock, signal, ROUNDS, [
        {
          run: (round) => pullModule(context, server.origin, ref, policy, at('store', round)),
          after: disk.settle,
        },
        {
          run: (round) => skopeoCopy(context, server.origin, at('copy', round)),
          after: disk.settle,
        },
        {
          run: (round) => skopeoAndTar(context, server.origin, layers, at('tar', round)),
          after: disk.settle,
        },
      ]);
      const [ours = 0, skopeo = 0, unpacked = 0] = times.map((list) => median(list) / 1000);
      return [
        {
          name: 'pull and verify, against skopeo copy',
          value: ours / skopeo,
          unit: '×',
          target: { at: 'most', value: 1.2 },
          note: `in turn, medians of ${ROUNDS}; skopeo stores the compressed layer as it is`,
        },
        {
          name: 'pull, verify, unpack, store, sync',
          value: ours,
          unit: 's',
          target: null,
          yardstick: { name: 'skopeo copy', value: skopeo },
        },
        {
          name: 'the same, against skopeo copy + tar -x',
          value: ours / unpacked,
          unit: '×',
          target: null,
          note: `${unpacked.toFixed(2)} s; tar verifies nothing`,
        },
      ];
    } finally {
      disk.release();
      await server.stop();
    }
  },
};

async function startRegistry(root: string) {
  const worker = new Worker(new URL('./registry-thread.ts', import.meta.url), {
    workerData: { root },
  });
  const [port] = (await once(worker, 'message')) as [number];
  return { origin: `http://127.0.0.1:${port}`, stop: () => worker.terminate() };
}

async function publish({ artifacts, signal, clock }: BenchContext, origin: string) {
  const { modules, keys } = artifacts();
  const [, dir = '', reference = ''] = modules.base.split(':');
  const target = openRegistry({ origin, repository: 'base', clock, random: Math.random });
  await copyArtifact({ source: await openLayout(dir), target, reference, tag: TAG, signal });
  const policy = TrustPolicy.parse(JSON.parse(await readFile(keys.policy, 'utf8')));
  const ref = await readModuleRef(target, 'base', TAG);
  const { bytes, mediaType } = await target.manifest(ref.manifest);
  const layers = parseImageManifest(bytes, mediaType).layers.map((layer) => layer.digest);
  return { ref, policy, layers };
}

async function pullModule(
  { clock, signal }: BenchContext,
  origin: string,
  ref: ModuleRef,
  policy: TrustPolicy,
  dir: string,
): Promise<void> {
  const store = await openStore({ dir });
  try {
    const source = openRegistry({ origin, repository: 'base', clock, random: Math.random });
    await store.ensureModule(ref, { source, policy, signal });
  } finally {
    await store.close();
  }
}

async function skopeoCopy({ signal }: BenchContext, origin: string, dir: string): Promise<void> {
  await mkdir(dir);
  const [from, to] = [`docker://${new URL(origin).host}/base:${TAG}`, `oci:${dir}/image:${TAG}`];
  await run(['skopeo', 'copy', '--quiet', '--src-tls-verify=false', from, to], { signal });
}

async function skopeoAndTar(
  context: BenchContext,
  origin: string,
  layers: readonly Digest[],
  dir: string,
): Promise<void> {
  await skopeoCopy(context, origin, dir);
  const { signal } = context;
  await mkdir(join(dir, 'root'));
  for (const layer of layers) {
    const blob = join(dir, 'image/blobs/sha256', hexOf(layer));
    await run(['tar', '-x', '--zstd', '-f', blob, '-C', join(dir, 'root')], { signal });
  }
}
