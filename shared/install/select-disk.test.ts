import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk } from '../schema/facts.ts';
import type { DiskSelector } from '../schema/install-plan.ts';
import { selectDisk } from './select-disk.ts';

const GB = 1e9;
const disk = (name: string, more: Partial<Disk> = {}): Disk => ({
  ...{ name, sizeBytes: 8 * GB, serial: `s-${name}`, byId: [`virtio-s-${name}`] },
  ...{ rotational: false, readOnly: false, removable: false },
  ...more,
});
const reasons = (selector: DiskSelector, disks: readonly Disk[]) =>
  selectDisk(selector, disks).candidates.map(
    ({ disk: { name }, matches, reason }) => `${name} ${matches} ${reason}`,
  );

test('a selector that one disk fits chooses it, and says of each other what does not hold', () => {
  const disks = [disk('vda'), disk('vdb', { sizeBytes: 4 * GB, rotational: true })];
  const selection = selectDisk({ byId: 'virtio-s-vda', rotational: false }, disks);
  assert.equal(selection.chosen?.name, 'vda');
  assert.deepEqual(reasons({ byId: 'virtio-s-vda', rotational: false }, disks), [
    'vda true the plan means it',
    'vdb false its by-id names are virtio-s-vdb; it is rotating',
  ]);
});

test('each field of a selector has to hold, and what a disk does not tell does not', () => {
  const known = disk('sda', { wwn: 'naa.5000c500a1b2c3d4', model: 'ST4000NM0035  ' });
  const fits = (selector: DiskSelector) => selectDisk(selector, [known]).chosen !== null;
  assert.ok(fits({ wwn: '0x5000C500A1B2C3D4' }));
  assert.ok(fits({ wwn: 'wwn-0x5000c500a1b2c3d4', model: 'ST4000NM0035' }));
  assert.ok(fits({ sizeBytesMin: 8 * GB, sizeBytesMax: 8 * GB }));
  assert.ok(!fits({ sizeBytesMin: 8 * GB + 1 }));
  assert.ok(!fits({ sizeBytesMax: 8 * GB - 1 }));
  assert.ok(!fits({ serial: 'S-SDA' }));
  const silent: Disk = { name: 'sdb', sizeBytes: 1 };
  for (const selector of [{ serial: 'x' }, { wwn: 'x' }, { model: 'x' }, { byId: 'x' }])
    assert.match(selectDisk(selector, [silent]).candidates[0]?.reason ?? '', /not known$/);
  assert.match(reasons({ rotational: true }, [silent])[0] ?? '', /not known whether it rotates/);
});

test('no disk: INSTALL_DISK_NONE, with what is there', () => {
  const { problem } = selectDisk({ serial: 'x' }, [disk('vda')]);
  assert.equal(problem?.code, 'INSTALL_DISK_NONE');
  assert.match(problem?.message ?? '', /no disk is serial=x, of 1/);
  assert.match(selectDisk({ serial: 'x' }, []).problem?.message ?? '', /there is none at all/);
});

test('two disks: INSTALL_DISK_AMBIGUOUS, even where one of them would not do', () => {
  const disks = [disk('vda'), disk('vdb', { readOnly: true })];
  const { problem, chosen, candidates } = selectDisk({ sizeBytesMin: 1 }, disks);
  assert.equal(chosen, null);
  assert.equal(problem?.code, 'INSTALL_DISK_AMBIGUOUS');
  assert.deepEqual(
    candidates.map(({ reason }) => reason),
    ['the plan means it, and vdb too', 'the plan means it, but it is read-only'],
  );
});

test('a read-only disk and one that is too small are refused, each with its code', () => {
  const readOnly = selectDisk({ serial: 's-vda' }, [disk('vda', { readOnly: true })]);
  assert.equal(readOnly.problem?.code, 'INSTALL_DISK_READ_ONLY');
  const small = selectDisk({ serial: 's-vda' }, [disk('vda')], { sizeBytesMin: 9 * GB });
  assert.equal(small.problem?.code, 'INSTALL_DISK_TOO_SMALL');
  assert.match(small.candidates[0]?.reason ?? '', /has 8000000000 of 9000000000 bytes/);
});

test('what the machine booted from is never meant, and a stick only by its name', () => {
  const excluded = new Map([['sdb', 'this machine booted from it']]);
  const disks = [disk('sda'), disk('sdb'), disk('sdc', { removable: true })];
  assert.equal(selectDisk({ sizeBytesMin: 1 }, disks, { excluded }).chosen?.name, 'sda');
  assert.equal(selectDisk({ serial: 's-sdc' }, disks, { excluded }).chosen?.name, 'sdc');
  const booted = selectDisk({ serial: 's-sdb' }, disks, { excluded });
  assert.equal(booted.problem?.code, 'INSTALL_DISK_NONE');
  assert.equal(booted.candidates[1]?.reason, 'this machine booted from it');
});
