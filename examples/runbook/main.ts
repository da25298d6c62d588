// Walks the runbook with real machines on this host: a coordinator on loopback, two QEMU machines, and
// every phase from documents to nothing left. Ends with 0 when all of it was seen. Nothing is left
// running, whatever happens.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirOf } from '#shared/build-cache.ts';
import { systemClock } from '#shared/clock.ts';
import { probeAccelerator } from '#shared/qemu/drivers/kvm.ts';
import { killProcess, processesUnder } from '../../coordinator/drivers/processes.ts';
import { prepareArtifacts } from '../../lab/artifacts.ts';
import { startFleet } from '../../lab/fleet.ts';
import { pushArtifacts } from '../../lab/node.ts';
import { freePort } from '../../lab/power.ts';
import { outcomeOf } from '../demo/outcome.ts';
import { terminalView, type View } from '../demo/view.ts';
import { walk } from './walk.ts';

const interrupt = new AbortController();
const { signal } = interrupt;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => interrupt.abort());

const view = terminalView({
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb',
  interactive: process.stdout.isTTY === true && process.env.TERM !== 'dumb',
  columns: Math.min(process.stdout.columns ?? 80, 100),
  env: process.env,
  signal,
});

process.exitCode = await main();

async function main(): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), 'billet-runbook-'));
  return await outcomeOf(view, signal, {
    async play() {
      await play(view, dir);
      view.text('\nThe whole runbook was walked. Nothing is left running.');
    },
    async clear() {
      await switchOff(dir);
      await rm(dir, { recursive: true, force: true });
    },
  });
}

async function play(view: View, dir: string): Promise<void> {
  const cacheDir = cacheDirOf(process.env);
  await mkdir(cacheDir, { recursive: true });
  view.text('Billet: the life of two nodes, from documents to nothing left');
  view.live('Building what is not in the cache');
  const progress = (line: string) => view.live(line);
  const artifacts = await prepareArtifacts({ cacheDir, clock: systemClock, signal, progress });
  const { kernel, initramfs } = artifacts.boot;
  const accelerator = await probeAccelerator(kernel, initramfs, signal);
  view.text(`Machines run on ${accelerator === 'kvm' ? 'KVM' : 'TCG: emulated, no usable KVM'}.`);
  view.live('Starting the coordinator, and filling its registry');
  await using fleet = await startFleet({
    stateDir: join(dir, 'coordinator'),
    httpsPort: await freePort(),
    httpPort: await freePort(),
    signal,
    providers: { 'local-qemu': { mode: 'real', accelerator } },
    // Sooner than by default, so that nobody has to wait for the signals of this walk.
    signals: { everySeconds: 3, driftAfterSeconds: 10 },
  });
  await pushArtifacts(fleet, artifacts);
  await walk({ fleet, artifacts, dir, view, clock: systemClock, signal });
}

/** Machines outlive their coordinator; those of a walk that was stopped have files below `dir`. */
async function switchOff(dir: string): Promise<void> {
  for (const machine of await processesUnder(dir)) await killProcess(machine);
}
