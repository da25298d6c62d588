// Reads files of a FAT12, FAT16 or FAT32 volume by their path, with long names. In this process and
// read only. Source: Microsoft, "FAT: General Overview of On-Disk Format", 1.03.
//
//   boot sector | FATs (next cluster of each cluster) | root (FAT12/16) | clusters, from number 2

import type { ReadAt } from './iso9660.ts';
import { type Volume, type VolumeEntry, volumeInvalid } from './volume.ts';

const BOOT_BYTES = 512;
const ENTRY_BYTES = 32;
const ATTRIBUTE = { volume: 0x08, directory: 0x10, longName: 0x0f } as const;
const DELETED = 0xe5;
/** Of a directory that is read: a chain may be a loop. */
const DIRECTORY_BYTES_MAX = 256 * 1024;

interface Layout {
  readonly bits: 12 | 16 | 32;
  readonly clusterBytes: number;
  readonly fatAt: number;
  /** Of the fixed root of FAT12 and FAT16. */
  readonly rootAt: number;
  readonly rootBytes: number;
  readonly dataAt: number;
  readonly rootCluster: number;
}

/** Null when it is no FAT volume. The label is the boot sector's. */
export async function fatVolume(readAt: ReadAt): Promise<Volume | null> {
  const boot = await readAt(0, BOOT_BYTES);
  const layout = layoutOf(boot);
  if (layout === null) return null;
  const chain = (cluster: number, bytes: number) => readChain(readAt, layout, cluster, bytes);
  const fixedRoot = layout.bits !== 32;
  return {
    label: labelOf(boot, layout),
    root: { name: '/', isDirectory: true, at: fixedRoot ? 0 : layout.rootCluster, sizeBytes: 0 },
    list: async ({ at }) =>
      entriesOf(
        at === 0
          ? await readAt(layout.rootAt, layout.rootBytes)
          : await chain(at, DIRECTORY_BYTES_MAX),
      ),
    read: async ({ at, sizeBytes }) =>
      sizeBytes === 0 ? Buffer.alloc(0) : await chain(at, sizeBytes),
  };
}

/** §3: the count of clusters, and nothing else, tells the kinds of FAT apart. */
function layoutOf(boot: Buffer): Layout | null {
  if (boot.length < BOOT_BYTES || boot.readUInt16LE(510) !== 0xaa55) return null;
  const sectorBytes = boot.readUInt16LE(11);
  const clusterBytes = boot.readUInt8(13) * sectorBytes;
  const fatCount = boot.readUInt8(16);
  const sectors = boot.readUInt16LE(19) || boot.readUInt32LE(32);
  const fatSectors = boot.readUInt16LE(22) || boot.readUInt32LE(36);
  const sane =
    [512, 1024, 2048, 4096].includes(sectorBytes) &&
    clusterBytes > 0 &&
    clusterBytes <= 64 * 1024 &&
    fatCount > 0 &&
    fatSectors > 0;
  // Other boot sectors end in the same mark: only the names of the type tell them from FAT.
  const named = [54, 82].some((at) => boot.toString('latin1', at, at + 3) === 'FAT');
  if (!sane || !named) return null;
  const fatAt = boot.readUInt16LE(14) * sectorBytes;
  const rootAt = fatAt + fatCount * fatSectors * sectorBytes;
  const rootBytes = boot.readUInt16LE(17) * ENTRY_BYTES;
  const dataAt = rootAt + Math.ceil(rootBytes / sectorBytes) * sectorBytes;
  const clusters = Math.floor((sectors * sectorBytes - dataAt) / clusterBytes);
  const bits = clusters < 4085 ? 12 : clusters < 65_525 ? 16 : 32;
  return {
    bits,
    clusterBytes,
    fatAt,
    rootAt,
    rootBytes,
    dataAt,
    rootCluster: boot.readUInt32LE(44),
  };
}

const labelOf = (boot: Buffer, { bits }: Layout): string => {
  const at = bits === 32 ? 71 : 43;
  return boot.toString('latin1', at, at + 11).trimEnd();
};

async function readChain(
  readAt: ReadAt,
  layout: Layout,
  first: number,
  bytes: number,
): Promise<Buffer> {
  const { clusterBytes, dataAt } = layout;
  const parts: Buffer[] = [];
  let cluster = first;
  for (let left = bytes; left > 0 && isData(layout, cluster); left -= clusterBytes) {
    parts.push(await readAt(dataAt + (cluster - 2) * clusterBytes, Math.min(left, clusterBytes)));
    cluster = await nextCluster(readAt, layout, cluster);
  }
  return Buffer.concat(parts);
}

const isData = ({ bits }: Layout, cluster: number): boolean =>
  cluster >= 2 && cluster < { 12: 0xff7, 16: 0xfff7, 32: 0x0ffffff7 }[bits];

/** §4. 0, a bad cluster and the end mark all end a chain. */
async function nextCluster(readAt: ReadAt, { bits, fatAt }: Layout, cluster: number) {
  const offset = bits === 12 ? cluster + (cluster >> 1) : cluster * (bits / 8);
  const entry = await readAt(fatAt + offset, bits === 32 ? 4 : 2);
  if (entry.length < 2) throw volumeInvalid('its allocation table is cut off');
  if (bits === 32) return entry.length < 4 ? 0 : entry.readUInt32LE(0) & 0x0fffffff;
  const value = entry.readUInt16LE(0);
  if (bits === 16) return value;
  return cluster % 2 === 0 ? value & 0xfff : value >> 4;
}

/** §6 and §7: parts of a long name stand before its entry, the last part first. */
function entriesOf(directory: Buffer): VolumeEntry[] {
  const found: VolumeEntry[] = [];
  let long = '';
  for (let at = 0; at + ENTRY_BYTES <= directory.length; at += ENTRY_BYTES) {
    const entry = directory.subarray(at, at + ENTRY_BYTES);
    if (entry[0] === 0) break;
    const attributes = entry.readUInt8(11);
    if (entry[0] !== DELETED && attributes === ATTRIBUTE.longName) {
      long = longPart(entry) + long;
      continue;
    }
    if (entry[0] !== DELETED && (attributes & ATTRIBUTE.volume) === 0)
      found.push({
        name: long === '' ? shortName(entry) : long,
        isDirectory: (attributes & ATTRIBUTE.directory) !== 0,
        at: (entry.readUInt16LE(20) << 16) | entry.readUInt16LE(26),
        sizeBytes: entry.readUInt32LE(28),
      });
    long = '';
  }
  return found;
}

const longPart = (entry: Buffer): string =>
  Buffer.concat([entry.subarray(1, 11), entry.subarray(14, 26), entry.subarray(28, 32)])
    .toString('utf16le')
    .replace(/\0.*$/s, '');

function shortName(entry: Buffer): string {
  const [name, extension] = [entry.toString('latin1', 0, 8), entry.toString('latin1', 8, 11)];
  return [name.trimEnd(), extension.trimEnd()]
    .filter((part) => part !== '')
    .join('.')
    .toLowerCase();
}
