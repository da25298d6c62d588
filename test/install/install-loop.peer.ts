// Installation on real block devices: loop devices, with the tools of the boot image.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { seeDisks } from '../../agent/install/observe.ts';
import { runInstall } from '../../agent/install/run-install.ts';
import { layoutOf } from '../../agent/install/seen.ts';
import { mounted } from '../../agent/install/step.ts';
import { EVENT, GIB, testMachine } from './install-disk-fixture.ts';
import { inspect, writesOf } from './install-inspect.ts';

const signal = new AbortController().signal;
const ORDER = 'BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c';
const short = (bytes: Buffer) => sha256(bytes).slice(7, 19);

test('a blank disk is installed: table, loader, slot, state, and first in the boot order', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk();
  await machine.addDisk({ serial: 'other' });
  const outcome = await runInstall(machine.ports, machine.request(), signal);
  assert.equal(outcome.kind, 'installed', machine.lines.join('\n'));
  assert.ok(outcome.kind === 'installed' && outcome.on.esp === `${disk.device}p1`);
  const { esp, persist, partitions, done } = await inspect(machine, disk);
  assert.deepEqual(partitions, ['billet-esp', 'billet-boot', 'billet-persist']);
  assert.equal(done.length, 7);
  const { uki, loader } = machine.shop;
  assert.deepEqual(esp, {
    'EFI/BOOT/BOOTX64.EFI': `644 ${short(loader)}`,
    'EFI/systemd/systemd-bootx64.efi': `644 ${short(loader)}`,
    'EFI/Linux/billet-0000000007+3.efi': `644 ${short(uki)}`,
    'loader/loader.conf': `644 ${short(Buffer.from('timeout 0\neditor no\nauto-entries no\n'))}`,
  });
  assert.equal(persist['state/key.pem'], `600 ${short(Buffer.from('the key'))}`);
  assert.ok('state/slots.json' in persist);
  assert.deepEqual(await readFile(join(machine.efivars, ORDER)), Buffer.from([7, 0, 0, 0, 0, 0]));

  const stages = machine.markers().map(({ stage }) => stage);
  assert.equal(stages[0], 'install-plan');
  assert.equal(stages.filter((stage) => stage === 'install-step').length, 7);
  assert.equal(stages.at(-1), 'installed');
  const states = machine.reports.map(({ state, step }) => `${state} ${step}`);
  assert.deepEqual(states.slice(0, 2), ['installing wipe', 'installing partition']);
  assert.equal(states.at(-1), 'installed finish');
  assert.equal(machine.reports.at(-1)?.progress, 1);
  assert.equal(machine.reports.at(-1)?.disk?.serial, 'disk-1');
});

test('one event installs once: the machine that boots from the medium again goes on to its disk', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk();
  await runInstall(machine.ports, machine.request(), signal);
  await keepData(machine, disk.name);
  const [before, writes] = [await inspect(machine, disk), await writesOf(machine)];
  // A class that was changed since: it is for the next event.
  for (const plan of [{}, { disk: { serial: 'elsewhere' } }, { wipeId: 'wipe-0123456789abcdef' }]) {
    const again = await runInstall(machine.ports, machine.request({}, plan), signal);
    assert.equal(again.kind, 'present');
  }
  assert.equal(await writesOf(machine), writes);
  assert.deepEqual(await inspect(machine, disk), before);
  const fromDisk = await runInstall(machine.ports, machine.request({ fromDisk: true }), signal);
  assert.equal(fromDisk.kind, 'present');
  const offline = await runInstall(machine.ports, machine.request({ uplink: null }), signal);
  assert.ok(offline.kind === 'present' && offline.on.persist === `${disk.device}p3`);
});

test('a new event over an installed disk needs its wipe id, and takes the data of this boot off it first', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk();
  await runInstall(machine.ports, machine.request(), signal);
  await keepData(machine, disk.name);
  const event = 'ie-fedcba9876543210';
  const onDisk = machine.request({ fromDisk: true }, {}, event);
  assert.equal(
    (await runInstall(machine.ports, onDisk, signal)).kind,
    'none',
    'not from the disk itself',
  );
  const refused = await runInstall(machine.ports, machine.request({}, {}, event), signal);
  assert.ok(refused.kind === 'refused' && refused.problem.code === 'INSTALL_DISK_HOLDS_DATA');
  const id = String(refused.problem.details.wipeId);
  assert.match(refused.problem.hint, new RegExp(`billet instance install NAME --wipe ${id}`));
  assert.equal(machine.reports.at(-1)?.candidates[0]?.wipeId, id);
  assert.match(machine.lines.at(-1) ?? '', /INSTALL_DISK_HOLDS_DATA.*billet-persist.*wipe-/);

  const order = machine.request({}, { wipeId: id }, event);
  const { mounts, dataDir } = machine.ports;
  const target = dataDir;
  mounts.mount({ source: `${disk.device}p3`, target, type: 'ext4' });
  const stays = await runInstall(machine.ports, order, signal);
  assert.ok(stays.kind === 'failed' && stays.problem.code === 'INSTALL_DISK_IN_USE');
  const ports = { ...machine.ports, releaseData: async () => mounts.unmount(target) };
  assert.equal(
    (await runInstall(ports, order, signal)).kind,
    'installed',
    machine.lines.join('\n'),
  );
  assert.ok(!('state/data' in (await inspect(machine, disk)).persist));
});

test('a dry run shows and reports the plan, and writes nothing', async (context) => {
  const machine = await testMachine(context);
  const { name } = await machine.addDisk();
  const writes = await writesOf(machine);
  const outcome = await runInstall(machine.ports, machine.request({ dryRun: true }), signal);
  assert.equal(outcome.kind, 'planned');
  assert.equal(await writesOf(machine), writes);
  const [shown] = machine.markers();
  const { dryRun, disk } = shown?.fields ?? {};
  assert.deepEqual([shown?.stage, dryRun, disk], ['install-plan', 'true', name]);
  assert.deepEqual(
    machine.reports.map(({ state, event }) => [state, event]),
    [['planned', EVENT]],
  );
});

test('a disk with sectors of 4096 bytes is installed, too', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk({ sectorBytes: 4096, sizeBytes: 3 * GIB });
  const outcome = await runInstall(machine.ports, machine.request(), signal);
  assert.equal(outcome.kind, 'installed', machine.lines.join('\n'));
  assert.equal((await inspect(machine, disk)).partitions.length, 3);
});

test('a boot image that no key of the policy signed costs no data: it is refused before the wipe', async (context) => {
  const machine = await testMachine(context);
  const disk = await machine.addDisk();
  const writes = await writesOf(machine);
  const request = machine.request();
  const desired = { ...request.desired, bootImage: machine.shop.foreign };
  const failed = await runInstall(machine.ports, { ...request, desired }, signal);
  assert.ok(failed.kind === 'failed' && failed.problem.code === 'SIGNATURE_INVALID');
  const offline = await runInstall(machine.ports, { ...request, uplink: null }, signal);
  assert.ok(offline.kind === 'failed' && offline.problem.code === 'LINK_DOWN');
  assert.equal(await writesOf(machine), writes);
  const outcome = await runInstall(machine.ports, request, signal);
  assert.equal(outcome.kind, 'installed', 'it goes on with another boot image');
  assert.equal((await inspect(machine, disk)).done.length, 7);
});

async function keepData(machine: Awaited<ReturnType<typeof testMachine>>, name: string) {
  const seen = (await seeDisks(machine.ports, signal)).find(({ disk }) => disk.name === name);
  const persist = seen && layoutOf(seen)?.persist;
  await mounted(machine.ports, { device: persist ?? '', type: 'ext4' }, (dir) =>
    writeFile(join(dir, 'state/data'), 'of the node'),
  );
}
