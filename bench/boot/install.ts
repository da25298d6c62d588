// Bare metal under emulation: from the ISO to installed, from there to `running`, and boots from the disk
// with and without a coordinator.

import { join } from 'node:path';
import type { Marker } from '#shared/markers.ts';
import { type LocalFleet, startFleet } from '../../lab/fleet.ts';
import { freePort } from '../../lab/power.ts';
import { openRack } from '../../lab/rack.ts';
import type { Bench, BenchContext, Figure } from '../bench.ts';
import { stageFigures } from './lab.ts';

const DOCUMENTS = join(import.meta.dirname, '../../examples/bare-metal/fleet');
const NODE = 'worker-1';
/** As the documents know it. */
const MACHINE = {
  name: NODE,
  uuid: '5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2',
  mac: '52:54:00:b1:50:02',
  disks: { 'worker-root': 8 * 1024 ** 3 },
};
const LIMIT_MS = 400_000;

const INSTALLING: readonly (readonly [Marker, string])[] = [
  ['boot-start', 'firmware, medium, kernel, initramfs'],
  ['enrolled', 'network, identity, claim'],
  ['install-plan', 'desired state, disks'],
  ['installed', 'partitioned, boot image pulled and written'],
];
const FROM_DISK: readonly (readonly [Marker, string])[] = [
  ['boot-start', 'firmware, loader, kernel, initramfs'],
  ['enrolled', 'network, store, identity'],
  ['pulled', 'desired state; modules pulled or found'],
  ['mounted', 'composed and mounted'],
  ['agent-start', 'systemd, to the agent'],
  ['ready', 'services, probes, ready'],
];

export const install: Bench = {
  name: 'boot/install',
  limitMs: 1_500_000,
  needsArtifacts: true,
  async run(context) {
    const { dir, signal } = context;
    const place = {
      stateDir: join(dir, 'coordinator'),
      httpsPort: await freePort(),
      httpPort: await freePort(),
      signal,
    };
    const fleet = await startFleet(place);
    try {
      return await measured(context, fleet);
    } finally {
      await fleet[Symbol.asyncDispose]();
    }
  },
};

async function measured(context: BenchContext, fleet: LocalFleet): Promise<Figure[]> {
  const { dir, signal, artifacts, progress } = context;
  const options = { fleet, artifacts: artifacts(), dir, signal, documents: DOCUMENTS };
  const rack = await openRack({ ...options, nodes: [NODE] });
  const chassis = await rack.place(MACHINE);
  const running = () => rack.until(NODE, 'running', ({ state }) => state === 'running', LIMIT_MS);
  const figures: Figure[] = [];
  const add = (name: string, value: number, note: string, stages: readonly Figure[]) =>
    figures.push({ name, value, unit: 's', target: null, note }, ...stages);
  {
    progress('from the ISO onto the disk');
    await using machine = await chassis.powerOn({ medium: { cdrom: rack.iso } });
    const { atSeconds: done } = await machine.waitFor('installed', { timeoutMs: LIMIT_MS });
    add('ISO to installed', done, 'TCG, 2 vCPUs, 2 GiB', stageFigures(machine, INSTALLING));
    const { atSeconds: ready } = await machine.waitFor('ready', { timeoutMs: LIMIT_MS });
    await running();
    const stages = stageFigures(machine, FROM_DISK, done);
    add('installed to running', ready - done, 'restart, and modules are pulled', stages);
    await machine.machine.cut();
  }
  {
    progress('from the disk');
    await using machine = await chassis.powerOn();
    const { atSeconds } = await machine.waitFor('ready', { timeoutMs: LIMIT_MS });
    await running();
    add(
      'boot from disk to running',
      atSeconds,
      'after a power cut',
      stageFigures(machine, FROM_DISK),
    );
    await machine.machine.cut();
  }
  progress('from the disk, with the coordinator stopped');
  await fleet.coordinator.stop();
  await using machine = await chassis.powerOn();
  const { atSeconds } = await machine.waitFor('ready', { timeoutMs: LIMIT_MS });
  const stages = stageFigures(machine, FROM_DISK);
  add('boot from disk without a coordinator, to ready', atSeconds, 'it is stopped', stages);
  return figures;
}
