// Trees of sysfs as recorded on machines, cut down to what is read.

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { observeDisks } from './disks.ts';

async function tree(
  context: TestContext,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'billet-disks-'));
  context.after(() => rm(root, { recursive: true }));
  for (const [path, content] of Object.entries(files)) {
    const at = join(root, 'sys/block', path);
    await mkdir(dirname(at), { recursive: true });
    await writeFile(at, content);
  }
  return root;
}

const first = async (root: string) => (await observeDisks({ root }))[0];

/** VPD page 0x83 (SPC-5 §7.7.6): designators as [code set, type, bytes]. */
const page83 = (...list: readonly [codeSet: number, type: number, bytes: Buffer][]): Buffer => {
  const body = list.map(([codeSet, type, bytes]) =>
    Buffer.concat([Buffer.from([codeSet, type, 0, bytes.length]), bytes]),
  );
  const length = body.reduce((sum, each) => sum + each.length, 0);
  return Buffer.concat([Buffer.from([0, 0x83, 0, length]), ...body]);
};
const page80 = (serial: string) =>
  Buffer.concat([Buffer.from([0, 0x80, 0, serial.length]), Buffer.from(serial)]);

/** VPD page 0x89 with IDENTIFY DEVICE data (ACS-4 §7.13): texts are swapped by words. */
function page89(model: string, serial: string, wwn: string): Buffer {
  const identify = Buffer.alloc(512);
  Buffer.from(serial.padEnd(20)).swap16().copy(identify, 20);
  Buffer.from(model.padEnd(40)).swap16().copy(identify, 54);
  Buffer.from(wwn, 'hex').swap16().copy(identify, 216);
  return Buffer.concat([Buffer.alloc(60), identify]);
}

test('a virtio disk is named by its serial, and has what else sysfs tells', async (context) => {
  const root = await tree(context, {
    ...{ 'vda/size': '2097152\n', 'vda/ro': '1\n', 'vda/removable': '0\n', 'vda/serial': 'a-1' },
    ...{ 'vda/queue/rotational': '1\n', 'vda/queue/logical_block_size': '4096\n' },
    ...{ 'vda/vda2/start': '4096\n', 'vda/vda2/size': '8\n', 'vda/vda1/start': '2048\n' },
    ...{ 'vda/vda1/size': '2048\n', 'vda/vda1/holders/dm-0/dev': '', 'loop0/size': '1\n' },
    ...{ 'sr0/size': '8\n', 'mmcblk0boot0/size': '8\n', 'sdz/size': '0\n' },
  });
  assert.deepEqual(await observeDisks({ root }), [
    {
      disk: {
        ...{ name: 'vda', sizeBytes: 2 ** 30, serial: 'a-1', rotational: true },
        ...{ byId: ['virtio-a-1'], readOnly: true, removable: false },
      },
      ...{ device: join(root, 'dev/vda'), sectorBytes: 4096, holders: ['dm-0'] },
      partitions: [
        { name: 'vda1', device: join(root, 'dev/vda1'), startBytes: 2 ** 20, sizeBytes: 2 ** 20 },
        { name: 'vda2', device: join(root, 'dev/vda2'), startBytes: 2 ** 21, sizeBytes: 4096 },
      ],
    },
  ]);
});

test('an NVMe namespace is named by its wwid, its model and serial, and its number', async (context) => {
  const root = await tree(context, {
    ...{ 'nvme0n1/size': '8\n', 'nvme0n1/wwid': 'eui.0025385b01422fa1\n', 'nvme0n1/nsid': '1\n' },
    'nvme0n1/device/model': 'Samsung SSD 980 PRO 1TB                 \n',
    'nvme0n1/device/serial': 'S5GXNF0R801234      \n',
  });
  const disk = (await first(root))?.disk;
  assert.deepEqual(disk?.byId, [
    'nvme-eui.0025385b01422fa1',
    'nvme-Samsung_SSD_980_PRO_1TB_S5GXNF0R801234',
    'nvme-Samsung_SSD_980_PRO_1TB_S5GXNF0R801234_1',
  ]);
  assert.equal(disk?.wwn, 'eui.0025385b01422fa1');
});

test('an ATA disk is named by the whole model and serial of its IDENTIFY data', async (context) => {
  const files = {
    ...{ 'sda/size': '8\n', 'sda/device/vendor': 'ATA     \n' },
    'sda/device/model': 'WDC WD40EFRX-68W\n',
    'sda/device/wwid': 'naa.50014ee2b5d3f2a1\n',
    'sda/device/vpd_pg80': page80('     WD-WCC4E1234567'),
  };
  const whole = page89('WDC WD40EFRX-68WT0N0', '     WD-WCC4E1234567', '50014ee2b5d3f2a1');
  const root = await tree(context, { ...files, 'sda/device/vpd_pg89': whole });
  const disk = (await first(root))?.disk;
  assert.deepEqual(disk?.byId, [
    'ata-WDC_WD40EFRX-68WT0N0_WD-WCC4E1234567',
    'wwn-0x50014ee2b5d3f2a1',
  ]);
  assert.deepEqual([disk?.serial, disk?.model], ['WD-WCC4E1234567', 'WDC WD40EFRX-68WT0N0']);
  const old = await tree(context, files);
  assert.deepEqual((await first(old))?.disk.byId, [], 'a model that may be cut off names nothing');
});

test('a SCSI disk is named by its best designator, as scsi_id takes it', async (context) => {
  const naa = (hex: string): [number, number, Buffer] => [1, 3, Buffer.from(hex, 'hex')];
  const named = async (page: Buffer) => {
    const root = await tree(context, {
      ...{ 'sda/size': '8\n', 'sda/device/vendor': 'QEMU    \n' },
      ...{ 'sda/device/model': 'QEMU HARDDISK   \n', 'sda/device/vpd_pg83': page },
      'sda/device/vpd_pg80': page80('web-1'),
    });
    return (await first(root))?.disk.byId;
  };
  const vendor: [number, number, Buffer] = [2, 0, Buffer.from('web-1')];
  assert.deepEqual(await named(page83(vendor)), ['scsi-0QEMU_QEMU_HARDDISK_web-1']);
  const both = ['scsi-35000c500a1b2c3d4', 'wwn-0x5000c500a1b2c3d4'];
  assert.deepEqual(await named(page83(vendor, naa('5000c500a1b2c3d4'))), both);
  const extended = '600508b1001c5e6f0123456789abcdef';
  assert.deepEqual(await named(page83(naa('5000c500a1b2c3d4'), naa(extended))), [
    `scsi-3${extended}`,
    `wwn-0x${extended}`,
  ]);
  assert.deepEqual(await named(Buffer.alloc(2)), ['scsi-SQEMU_QEMU_HARDDISK_web-1']);
  assert.deepEqual(await named(Buffer.from([0, 0x83, 0, 9, 1, 3])), [
    'scsi-SQEMU_QEMU_HARDDISK_web-1',
  ]);
});

test('a USB stick is named by maker, product and serial, and is removable', async (context) => {
  const usb = '../devices/pci0000:00/0000:00:14.0/usb2/2-1';
  const scsi = `${usb}/2-1:1.0/host6/target6:0:0/6:0:0:0`;
  const root = await tree(context, {
    ...{ 'sdb/size': '8\n', 'sdb/removable': '1\n', [`${scsi}/vendor`]: 'SanDisk \n' },
    ...{ [`${scsi}/model`]: 'Ultra Fit       \n', [`${usb}/idVendor`]: '0781\n' },
    [`${usb}/serial`]: '4C530001234567890123\n',
  });
  await symlink(join('..', scsi), join(root, 'sys/block/sdb/device'));
  const disk = (await first(root))?.disk;
  assert.deepEqual(disk?.byId, ['usb-SanDisk_Ultra_Fit_4C530001234567890123-0:0']);
  assert.equal(disk?.removable, true);
});
