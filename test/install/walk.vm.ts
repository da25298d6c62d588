// The walk of bare metal: one ISO, two blank machines, two classes. Both phone home, install themselves
// onto the disk that their class means, restart from it, become different systems, and come back after a
// power cut. What their consoles said is judged by `billet hardware-smoke capture`, and the evidence
// stays in work/hardware-smoke, as hardware leaves it.

import assert from 'node:assert/strict';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import type { Marker } from '#shared/markers.ts';
import type { Instance } from '#shared/schema/records.ts';
import { billet } from '../../cli/testing.ts';
import type { Chassis } from '../../lab/chassis.ts';
import { shellOf } from '../../lab/node.ts';
import { BOOT_MS, type PoweredMachine } from '../../lab/power.ts';
import { openRack, type Rack } from '../../lab/rack.ts';
import { assertVerified, openStage, type Stage } from '../boot/machine-fixture.ts';

const GIB = 1024 ** 3;
const TREE = join(import.meta.dirname, '../..');
const DOCUMENTS = join(TREE, 'examples/bare-metal/fleet');

/** As examples/bare-metal/fleet/machines.yaml knows them. The data disks are not to be touched. */
const MACHINES = [
  {
    name: 'control-1',
    uuid: 'c1a5b7de-90f4-4c1e-8d55-0d1f0b1150a1',
    mac: '52:54:00:b1:50:01',
    disks: { 'control-data': 2 * GIB, 'control-root': 8 * GIB },
    modules: ['base', 'tools'],
  },
  {
    name: 'worker-1',
    uuid: '5f0c3a52-8a3e-4d4b-9a70-0d1f0b1150a2',
    mac: '52:54:00:b1:50:02',
    disks: { 'worker-data': 2 * GIB, 'worker-root': 8 * GIB },
    modules: ['base', 'web'],
  },
] as const;
const NODES = MACHINES.map(({ name }) => name);

let stage: Stage;
let rack: Rack;
const chassis = new Map<string, Chassis>();
const powered = new Map<string, PoweredMachine>();

before(
  async () => {
    stage = await openStage();
    const { fleet, artifacts, dir, signal } = stage;
    rack = await openRack({ fleet, artifacts, dir, documents: DOCUMENTS, nodes: NODES, signal });
    for (const { name, uuid, mac, disks } of MACHINES)
      chassis.set(name, await rack.place({ name, uuid, mac, disks }));
  },
  { timeout: 600_000 },
);

after(() => stage?.close());

const of = <T>(map: ReadonlyMap<string, T>, name: string): T => {
  const found = map.get(name);
  assert.ok(found, name);
  return found;
};

async function switchOn(name: string, withMedium: boolean): Promise<PoweredMachine> {
  const medium = withMedium ? { medium: { cdrom: rack.iso } } : {};
  const machine = stage.keep(await of(chassis, name).powerOn(medium));
  powered.set(name, machine);
  return machine;
}

const isRunning = ({ state, heartbeat, generation, confirmed }: Instance): boolean =>
  state === 'running' && heartbeat?.phase === 'ready' && confirmed === generation;

/** Nothing may go wrong on the way: the first failure ends the wait. */
async function reached(machine: PoweredMachine, stage: Marker, timeoutMs: number, from = 0) {
  const { marker } = await machine.waitFor((each) => each.failure || each.stage === stage, {
    timeoutMs,
    from,
  });
  assert.equal(marker.failure, false, JSON.stringify(marker));
  return marker;
}

const uptime = (machine: PoweredMachine, marker: string, from = 0): string =>
  `${marker} after ${machine.sightings
    .slice(from)
    .find((each) => each.marker.stage === marker)
    ?.atSeconds.toFixed(0)} s`;

test('one ISO installs two blank machines onto the disks that their classes mean', {
  timeout: BOOT_MS,
}, async () => {
  await Promise.all(
    NODES.map(async (name) => {
      const machine = await switchOn(name, true);
      const { fields } = await reached(machine, 'install-plan', BOOT_MS - 20_000);
      assert.equal(fields.serial, `${name.split('-')[0]}-root`);
      await reached(machine, 'installed', BOOT_MS - 10_000);
      process.stderr.write(`# ${name}: ${uptime(machine, 'installed')}\n`);
    }),
  );
});

test('each restarts from its own disk, though the medium is still in, and becomes what its class says', {
  timeout: BOOT_MS,
}, async () => {
  await Promise.all(
    MACHINES.map(async ({ name, modules }) => {
      const machine = of(powered, name);
      await reached(machine, 'boot-slot', BOOT_MS - 30_000);
      await reached(machine, 'ready', BOOT_MS - 20_000);
      const instance = await rack.until(name, 'running', isRunning, BOOT_MS - 10_000);
      process.stderr.write(`# ${name}: running; ${uptime(machine, 'ready')}\n`);
      assert.equal(instance.id, of(rack.instances, name).id);
      const merged = instance.heartbeat?.modules?.map((module) => module.name).sort();
      assert.deepEqual(merged, [...modules].sort());
      await assertVerified(machine);
    }),
  );
});

test('what the plans do not mean is not touched', async () => {
  for (const { name, disks } of MACHINES)
    for (const serial of Object.keys(disks).filter((each) => each.endsWith('-data'))) {
      await using file = await open(of(chassis, name).disk(serial));
      const { blocks } = await file.stat();
      assert.equal(blocks, 0, `${serial} has been written to`);
    }
});

test('power is cut; without the medium, each comes back as what it was, and pulls nothing', {
  timeout: BOOT_MS,
}, async () => {
  const before = new Map<string, Instance>();
  for (const name of NODES) {
    before.set(name, await rack.until(name, 'running', isRunning, 1000));
    await of(powered, name).machine.cut();
  }
  await Promise.all(
    NODES.map(async (name) => {
      const machine = await switchOn(name, false);
      const { fields } = await reached(machine, 'pulled', BOOT_MS - 30_000);
      assert.equal(fields.bytes, '0');
      const earlier = of(before, name);
      const instance = await rack.until(
        name,
        'running after the power cut',
        (now) => isRunning(now) && now.heartbeat?.bootId !== earlier.heartbeat?.bootId,
        BOOT_MS - 10_000,
      );
      process.stderr.write(`# ${name}: back; ${uptime(machine, 'ready')}\n`);
      assert.equal(instance.heartbeat?.systemImage, earlier.heartbeat?.systemImage);
      assert.equal(instance.certificate?.serial, earlier.certificate?.serial);
      const shell = await shellOf(machine);
      const persist = await shell.must('findmnt -rno SOURCE /run/billet/data');
      shell.close();
      assert.match(persist, /^\/dev\/vd/);
    }),
  );
});

test('the evidence of both is what a smoke run of hardware leaves', {
  timeout: 60_000,
}, async () => {
  const Verdict = z.object({ outcome: z.string(), failures: z.array(z.unknown()) });
  const work = join(TREE, 'work');
  for (const name of NODES) {
    const console = join(rack.dirOf(name), 'console-1.log');
    const flags = ['--console', console, '--no-follow', '--flow', 'iso-install', '--work', work];
    const { code, stderr } = await billet(['hardware-smoke', 'capture', ...flags]);
    assert.equal(code, 0, stderr);
    const result = await readFile(join(work, 'hardware-smoke/latest/result.json'), 'utf8');
    const { outcome, failures } = Verdict.parse(JSON.parse(result));
    assert.deepEqual([outcome, failures], ['passed', []], name);
  }
});
