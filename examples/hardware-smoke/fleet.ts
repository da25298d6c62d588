// What `billet hardware-smoke run --transport qemu` tries when no image is named: a throw-away
// coordinator on loopback, an ISO with it baked in, and a registered node with an install plan. Loaded
// by its address from cli/commands/hardware-smoke.ts, which knows nothing else of it.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirOf } from '#shared/build-cache.ts';
import type { CommandIo } from '../../cli/command-io.ts';
import { prepareArtifacts } from '../../lab/artifacts.ts';
import { startFleet } from '../../lab/fleet.ts';
import { freePort } from '../../lab/power.ts';
import { openRack } from '../../lab/rack.ts';

/** As examples/bare-metal/fleet knows it: by its UUID, and its disk by its serial. */
const MACHINE = {
  node: 'worker-1',
  uuid: '5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2',
  mac: '52:54:00:b1:50:02',
  diskSerial: 'worker-root',
};
const DOCUMENTS = join(import.meta.dirname, '../bare-metal/fleet');
const HEARTBEAT_SECONDS = 2;

export interface SmokeFleet extends AsyncDisposable {
  readonly iso: string;
  readonly node: string;
  readonly uuid: string;
  readonly mac: string;
  readonly diskSerial: string;
}

/** Builds what is missing (minutes at the first time). Nothing of it is left after its disposal. */
export async function openSmokeFleet(
  io: Pick<CommandIo, 'clock' | 'signal' | 'env' | 'stderr'>,
): Promise<SmokeFleet> {
  const { clock, signal } = io;
  const cacheDir = cacheDirOf(io.env);
  await mkdir(cacheDir, { recursive: true });
  const dir = await mkdtemp(join(tmpdir(), 'billet-smoke-fleet-'));
  await using undo = new AsyncDisposableStack();
  undo.defer(() => rm(dir, { recursive: true, force: true }));
  const progress = (line: string) => io.stderr.write(`${line}\n`);
  const artifacts = await prepareArtifacts({ cacheDir, clock, signal, progress });
  progress('starting a coordinator, and making an ISO for its machines');
  const fleet = undo.use(
    await startFleet({
      stateDir: join(dir, 'coordinator'),
      httpsPort: await freePort(),
      httpPort: await freePort(),
      heartbeatSeconds: HEARTBEAT_SECONDS,
      signal,
    }),
  );
  const nodes = [MACHINE.node];
  const rack = await openRack({ fleet, artifacts, dir, documents: DOCUMENTS, nodes, signal });
  const kept = undo.move();
  return { ...MACHINE, iso: rack.iso, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
