// Installation in a real machine under UEFI: what it refuses, on its console and at the coordinator; a
// disk that fails once; a power cut in the middle. Its restart from the disk is walk.vm.ts.

import assert from 'node:assert/strict';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MarkerRecord } from '#shared/markers.ts';
import { INSTALL_STEPS } from '#shared/schema/install-report.ts';
import { hostExec } from '../../agent/drivers/exec.ts';
import { fatVolume } from '../../agent/drivers/fat.ts';
import type { VolumeEntry } from '../../agent/drivers/volume.ts';
import { parseGpt } from '../../agent/install/gpt.ts';
import { newestRecord, RECORD_BLOCK_BYTES, RECORD_OFFSETS } from '../../agent/install/record.ts';
import { PARTITION } from '../../agent/install/seen.ts';
import { entryName, freshEntry } from '../../agent/slots/entry-name.ts';
import type { Chassis } from '../../lab/chassis.ts';
import { BOOT_MS, type PoweredMachine } from '../../lab/power.ts';
import { openRack, type Rack } from '../../lab/rack.ts';
import { openStage, type Stage } from '../boot/machine-fixture.ts';

const NODE = 'disk-1';
const GIB = 2 ** 30;
const [ROOT, OTHER] = ['the-root', 'another'];
/** blkdebug(QEMU docs/devel/blkdebug.txt): the first write fails, and no other. */
const FIRST_WRITE_FAILS =
  '[inject-error]\nevent = "none"\niotype = "write"\nerrno = "5"\nonce = "on"\n';

let stage: Stage;
let rack: Rack;
let chassis: Chassis;
let machine: PoweredMachine;
let generation = 0;

before(
  async () => {
    stage = await openStage();
    const { fleet, artifacts, dir, signal } = stage;
    const documents = join(import.meta.dirname, 'documents');
    rack = await openRack({ fleet, artifacts, dir, documents, nodes: [NODE], signal });
    chassis = await rack.place({
      ...{ name: NODE, uuid: '1d0f3a52-8a3e-4d4b-9a70-0d1f0b1150a3', mac: '52:54:00:b1:51:01' },
      disks: { [OTHER]: 4 * GIB, [ROOT]: 4 * GIB },
    });
    const made = await hostExec(
      ['mke2fs', '-q', '-F', '-t', 'ext4', '-L', 'precious', chassis.disk(ROOT)],
      signal,
    );
    assert.equal(made.code, 0, made.stderr);
  },
  { timeout: 600_000 },
);

after(() => stage?.close());

const failure = (code: string) => (marker: MarkerRecord) =>
  marker.failure && marker.fields.code === code;

test('two disks that the plan means: the machine waits, and both are told of, each with its reason', {
  timeout: BOOT_MS + 120_000,
}, async () => {
  const faults = join(stage.dir, 'faults.conf');
  await writeFile(faults, FIRST_WRITE_FAILS);
  machine = stage.keep(
    await chassis.powerOn({ medium: { cdrom: rack.iso }, faults: { [ROOT]: faults } }),
  );
  const { marker, atSeconds } = await machine.waitFor(failure('INSTALL_DISK_AMBIGUOUS'), {
    timeoutMs: BOOT_MS,
  });
  process.stderr.write(`# refused after ${atSeconds.toFixed(0)} s\n`);
  for (const serial of [ROOT, OTHER]) assert.match(marker.fields.message ?? '', new RegExp(serial));
  assert.equal(marker.stage, 'install-plan');
  const { install } = await rack.until(
    NODE,
    'refused',
    (now) => now.install?.waits === true,
    20_000,
  );
  assert.equal(install?.report?.state, 'refused');
  assert.deepEqual(
    install.report.candidates.map(({ disk, matches }) => [disk.serial, matches]).sort(),
    [
      [OTHER, true],
      [ROOT, true],
    ],
  );
});

test('the one that is meant holds data: its loss is ordered by its wipe id', {
  timeout: BOOT_MS,
}, async () => {
  await stage.fleet.billet('instance', 'install', NODE, '--disk-serial', ROOT);
  const from = machine.sightings.length;
  const { marker } = await machine.waitFor(failure('INSTALL_DISK_HOLDS_DATA'), {
    ...{ timeoutMs: BOOT_MS, from },
  });
  const [id] = /wipe-[0-9a-f]{16}/.exec(marker.fields.hint ?? '') ?? [];
  assert.match(marker.fields.message ?? '', /holds ext4 "precious"/);
  const told = await rack.until(
    NODE,
    'told of its content',
    ({ install }) => install?.report?.problem?.code === 'INSTALL_DISK_HOLDS_DATA',
    20_000,
  );
  const candidate = told.install?.report?.candidates.find(({ disk }) => disk.serial === ROOT);
  assert.equal(candidate?.wipeId, id);
  await stage.fleet.billet('instance', 'install', NODE, '--disk-serial', ROOT, '--wipe', id ?? '');
});

test('a write that fails is shown and tried again; a power cut ends it in the middle', {
  timeout: 2 * BOOT_MS,
}, async () => {
  const { marker } = await machine.waitFor(failure('INSTALL_DISK_FAILED'), { timeoutMs: BOOT_MS });
  assert.match(marker.fields.message ?? '', /EIO|Input\/output error/);
  const step = await machine.waitFor(
    ({ failure: failed, stage: name, fields }) =>
      !failed && name === 'install-step' && fields.step === 'slot',
    { timeoutMs: BOOT_MS },
  );
  process.stderr.write(`# step slot after ${step.atSeconds.toFixed(0)} s\n`);
  await machine.machine.cut();
  assert.ok(!machine.sightings.some(({ marker: each }) => each.stage === 'installed'));
});

test('it boots from the medium again, goes on where it stopped, and is done', {
  timeout: BOOT_MS + 120_000,
}, async () => {
  machine = stage.keep(await chassis.powerOn({ medium: { cdrom: rack.iso } }));
  const { marker } = await machine.waitFor('install-plan', { timeoutMs: BOOT_MS });
  assert.deepEqual([marker.fields.resumes, marker.fields.steps], ['true', 'slot,state,finish']);
  const { atSeconds } = await machine.waitFor('installed', { timeoutMs: BOOT_MS });
  process.stderr.write(`# installed after ${atSeconds.toFixed(0)} s\n`);
  const told = await rack.until(
    NODE,
    'told of its end',
    ({ install }) => install?.doneAt !== null,
    20_000,
  );
  await machine.machine.cut();
  const { install } = told;
  generation = told.generation;
  assert.deepEqual([install?.report?.state, install?.report?.step], ['installed', 'finish']);
  assert.deepEqual(
    machine.sightings.filter(({ marker: each }) => each.failure).map(({ marker: each }) => each),
    [],
  );
});

test('the disk has the loader and one boot image; the other disk was not written to', async () => {
  await using file = await open(chassis.disk(ROOT));
  const readAt = async (at: number, length: number) => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at);
    return buffer.subarray(0, bytesRead);
  };
  const record = newestRecord(
    await Promise.all(RECORD_OFFSETS.map((at) => readAt(at, RECORD_BLOCK_BYTES))),
  );
  assert.deepEqual(record?.done, [...INSTALL_STEPS]);
  const gpt = parseGpt(await readAt(0, 65_536), 512);
  const { esp, boot, persist } = PARTITION;
  assert.deepEqual(
    gpt?.partitions.map(({ name }) => name),
    [esp, boot, persist],
  );
  const startBytes = gpt?.partitions[0]?.startBytes ?? 0;
  const volume = await fatVolume((at, length) => readAt(startBytes + at, length));
  assert.ok(volume);
  const names = async (...path: readonly string[]) => {
    let at = volume.root;
    for (const name of path) {
      const next: VolumeEntry | undefined = (await volume.list(at)).find(
        (each) => each.name.toLowerCase() === name,
      );
      assert.ok(next, `${name} of ${path.join('/')}`);
      at = next;
    }
    return (await volume.list(at)).map(({ name }) => name).filter((name) => !/^\.+$/.test(name));
  };
  assert.deepEqual(await names('efi', 'linux'), [entryName(freshEntry(generation))]);
  assert.equal((await names('efi', 'boot')).join().toUpperCase(), 'BOOTX64.EFI');
  await using other = await open(chassis.disk(OTHER));
  assert.equal((await other.stat()).blocks, 0);
});
