// The disks of this machine, from sysfs alone: no udev is needed. Reads no content, changes nothing.

import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Disk } from '#shared/schema/facts.ts';
import { bytesOrNull, namesIn, textOrNull } from '../identity/source-file.ts';
import { type DiskAttributes, diskNames } from './disk-names.ts';

export interface ObservedPartition {
  /** E.g. vda1. */
  readonly name: string;
  readonly device: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

export interface ObservedDisk {
  readonly disk: Disk;
  readonly device: string;
  /** Logical: 512, or 4096 on disks that are 4K native. */
  readonly sectorBytes: number;
  readonly partitions: readonly ObservedPartition[];
  /** Devices that are built on it or on its partitions: dm-0, md127. */
  readonly holders: readonly string[];
}

export interface DisksOptions {
  readonly root?: string;
  readonly isDisk?: (name: string) => boolean;
}

/** The unit of sizes in sysfs, whatever the disk's own is. */
const SECTOR_BYTES = 512;
const TEXT_MAX = 256;
/** What the kernel makes itself, or what is no disk of this machine. */
const NOT_A_DISK = /^(loop|ram|zram|dm-|md|sr|fd|nbd|mtdblock)|^nvme\d+c|boot\d+$|rpmb$/;

const isRealDisk = (name: string): boolean => !NOT_A_DISK.test(name);

/** In the order of kernel names. One that goes away while it is read is left out, or has little to say. */
export async function observeDisks({
  root = '/',
  isDisk = isRealDisk,
}: DisksOptions = {}): Promise<ObservedDisk[]> {
  const names = (await namesIn(join(root, 'sys/block'))).filter(isDisk);
  const disks = await Promise.all(names.map((name) => observeDisk(root, name)));
  // A card reader without a card has a node and no size.
  return disks.filter(({ disk }) => disk.sizeBytes > 0);
}

async function observeDisk(root: string, name: string): Promise<ObservedDisk> {
  const at = join(root, 'sys/block', name);
  const partitions = await partitionsOf(root, name);
  const holders = await Promise.all(
    [at, ...partitions.map((each) => join(at, each.name))].map((dir) =>
      namesIn(join(dir, 'holders')),
    ),
  );
  return {
    disk: await describe(at, name),
    device: join(root, 'dev', name),
    sectorBytes: Number((await text(join(at, 'queue/logical_block_size'))) ?? SECTOR_BYTES),
    partitions,
    holders: [...new Set(holders.flat())].sort(),
  };
}

async function partitionsOf(root: string, name: string): Promise<ObservedPartition[]> {
  const at = join(root, 'sys/block', name);
  const names = (await namesIn(at)).filter((each) => each.startsWith(name));
  const sectors = async (partition: string, file: string) =>
    Number((await text(join(at, partition, file))) ?? 0) * SECTOR_BYTES;
  const found = await Promise.all(
    names.map(async (partition) => ({
      name: partition,
      device: join(root, 'dev', partition),
      startBytes: await sectors(partition, 'start'),
      sizeBytes: await sectors(partition, 'size'),
    })),
  );
  return found.sort((a, b) => a.startBytes - b.startBytes);
}

async function describe(at: string, name: string): Promise<Disk> {
  const [size, ro, removable, rotational] = await Promise.all(
    ['size', 'ro', 'removable', 'queue/rotational'].map((file) => text(join(at, file))),
  );
  const attributes = await attributesOf(at, name);
  const names = diskNames(attributes);
  const wwn = attributes.wwid ?? (await text(join(at, 'device/wwid')));
  const serial = names.serial ?? attributes.serial;
  const model = names.model ?? attributes.model;
  return {
    name,
    sizeBytes: Number(size ?? 0) * SECTOR_BYTES,
    ...(serial === undefined ? {} : { serial: serial.slice(0, TEXT_MAX) }),
    ...(wwn === undefined ? {} : { wwn }),
    ...(model === undefined ? {} : { model: model.slice(0, TEXT_MAX) }),
    ...(rotational === undefined ? {} : { rotational: rotational === '1' }),
    byId: [...new Set(names.byId)].map((each) => each.slice(0, TEXT_MAX)).slice(0, 16),
    ...(ro === undefined ? {} : { readOnly: ro !== '0' }),
    ...(removable === undefined ? {} : { removable: removable !== '0' }),
  };
}

async function attributesOf(at: string, name: string): Promise<DiskAttributes> {
  const page = (number: string) => readable(bytesOrNull(join(at, `device/vpd_pg${number}`)));
  return {
    name,
    serial: (await text(join(at, 'serial'))) ?? (await text(join(at, 'device/serial'))),
    wwid: await text(join(at, 'wwid')),
    model: await text(join(at, 'device/model')),
    vendor: await text(join(at, 'device/vendor')),
    nsid: await text(join(at, 'nsid')),
    page80: await page('80'),
    page83: await page('83'),
    page89: await page('89'),
    usb: await usbOf(at),
  };
}

/** The USB device above a disk: the first directory upwards that has a vendor's number. */
async function usbOf(at: string): Promise<DiskAttributes['usb']> {
  const device = await realpath(join(at, 'device')).catch(() => null);
  // host:channel:target:lun
  const instance = /:(\d+:\d+)$/.exec(device ?? '')?.[1];
  if (device === null || instance === undefined || !/\/usb\d+\//.test(device)) return undefined;
  for (let dir = device; /\/usb\d+\//.test(dir); dir = dirname(dir))
    if ((await text(join(dir, 'idVendor'))) !== undefined)
      return { serial: (await text(join(dir, 'serial'))) ?? '', instance };
  return undefined;
}

async function text(path: string): Promise<string | undefined> {
  const found = (await readable(textOrNull(path)))?.replace(/\0+$/, '').trim();
  return found === undefined || found === '' ? undefined : found.slice(0, TEXT_MAX);
}

/** The kernel answers EINVAL, ENXIO or EIO for what a device does not tell, or no longer. */
const readable = async <T>(reading: Promise<T | null>): Promise<T | undefined> =>
  (await reading.catch(() => null)) ?? undefined;
