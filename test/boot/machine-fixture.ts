// What suites with machines share: artifacts from the cache, a fleet in a directory of its own, and
// an end to all of it, whatever happens.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { type Artifacts, prepareArtifacts } from '../../lab/artifacts.ts';
import { type Fleet, type FleetOptions, startFleet } from '../../lab/fleet.ts';
import { pushArtifacts, shellOf } from '../../lab/node.ts';
import { freePort, type PoweredMachine } from '../../lab/power.ts';

export interface Stage {
  readonly artifacts: Artifacts;
  readonly dir: string;
  readonly signal: AbortSignal;
  /** The coordinator that runs now. */
  readonly fleet: Fleet;
  /** Stops it and starts it again over the same state and ports, or only stops it. */
  restart(options?: { readonly whileStopped: () => Promise<void> }): Promise<void>;
  /** Switched off by `close`, if it still runs then. */
  keep(machine: PoweredMachine): PoweredMachine;
  /** Ends machines and coordinator, removes their files. */
  close(): Promise<void>;
}

export interface StageOptions {
  /** A fleet whose coordinator is part of this process without it. */
  readonly start?: (options: FleetOptions) => Promise<Fleet>;
  readonly httpsPort?: number;
  readonly guestPort?: number;
  readonly providers?: FleetOptions['providers'];
}

/** Builds what is missing (minutes at the first time), starts a fleet and fills its registry. */
export async function openStage(options: StageOptions = {}): Promise<Stage> {
  const { start = startFleet, guestPort, providers } = options;
  const abort = new AbortController();
  const { signal } = abort;
  const dir = await mkdtemp(join(tmpdir(), 'billet-vm-'));
  const artifacts = await prepareArtifacts({
    cacheDir: cacheDirOf(process.env),
    clock: systemClock,
    signal,
    progress: (line) => process.stderr.write(`# ${line}\n`),
  });
  const place = {
    stateDir: join(dir, 'coordinator'),
    httpsPort: options.httpsPort ?? (await freePort()),
    httpPort: await freePort(),
    signal,
    heartbeatSeconds: 2,
    ...(guestPort === undefined ? {} : { guestPort }),
    ...(providers === undefined ? {} : { providers }),
  };
  let fleet = await start(place);
  const machines: PoweredMachine[] = [];
  await pushArtifacts(fleet, artifacts);
  return {
    artifacts,
    dir,
    signal,
    get fleet() {
      return fleet;
    },
    async restart(between) {
      await fleet[Symbol.asyncDispose]();
      try {
        await between?.whileStopped();
      } finally {
        fleet = await start(place);
      }
    },
    keep(machine) {
      machines.push(machine);
      return machine;
    },
    async close() {
      for (const machine of machines) await machine[Symbol.asyncDispose]();
      await fleet[Symbol.asyncDispose]();
      abort.abort();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/**
 * By the mount table of the running machine: its root is an overlay that the kernel checks at each read,
 * and that nothing can be written to.
 */
export async function assertVerified(machine: PoweredMachine): Promise<void> {
  const shell = await shellOf(machine);
  try {
    const root = (await shell.must('findmnt -rno FSTYPE,OPTIONS /')).trim();
    assert.match(root, /^overlay\s/);
    assert.match(root, /(^|[\s,])ro,/);
    assert.match(root, /verity=require/);
    assert.doesNotMatch(root, /upperdir/);
  } finally {
    shell.close();
  }
}
