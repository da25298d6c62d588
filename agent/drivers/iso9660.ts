// Reads files of an ISO 9660 volume (ECMA-119) by their path, with Joliet or Rock Ridge names. In
// this process and read only: no mount, no link, no device. Every number on the volume is doubted.
//
//   sector 16…  volume descriptors: 1 primary, 2 supplementary (Joliet by its escape), 255 the end
//   directory   records of 33 bytes and a name, none across a sector; Rock Ridge after the name

import { type Volume, type VolumeEntry, volumeInvalid } from './volume.ts';

const SECTOR_BYTES = 2048;
const FIRST_DESCRIPTOR = 16;
const DESCRIPTORS_MAX = 16;
const TYPE = { primary: 1, supplementary: 2, end: 255 } as const;
const FLAG_DIRECTORY = 2;
const FLAG_MULTI_EXTENT = 128;
/** ECMA-119 §8.5.6 and the Joliet specification, "Escape Sequences": UCS-2 levels 1 to 3. */
const JOLIET = ['%/@', '%/C', '%/E'];

/** Bytes of the device: shorter than asked for only at its end. */
export type ReadAt = (offset: number, bytes: number) => Promise<Buffer>;

/** Null when it is no ISO 9660 volume. */
export async function isoVolume(readAt: ReadAt): Promise<Volume | null> {
  const descriptors = await volumeDescriptors(readAt);
  const primary = descriptors.find((each) => each[0] === TYPE.primary);
  if (primary === undefined) return null;
  const joliet = descriptors.find(isJoliet);
  const names = joliet === undefined ? rockRidgeName : jolietName;
  return {
    label: primary.toString('latin1', 40, 72).replace(/[ \0]+$/, ''),
    root: entryOf((joliet ?? primary).subarray(156, 190), '/'),
    list: async (directory) =>
      records(await readAt(directory.at, directory.sizeBytes)).map((record) =>
        entryOf(record, names(record)),
      ),
    read: (file) => readAt(file.at, file.sizeBytes),
  };
}

async function volumeDescriptors(readAt: ReadAt): Promise<Buffer[]> {
  const found: Buffer[] = [];
  for (let at = 0; at < DESCRIPTORS_MAX; at += 1) {
    const sector = await readAt((FIRST_DESCRIPTOR + at) * SECTOR_BYTES, SECTOR_BYTES);
    const isDescriptor =
      sector.length === SECTOR_BYTES && sector.toString('latin1', 1, 6) === 'CD001';
    if (!isDescriptor || sector[0] === TYPE.end) break;
    found.push(sector);
  }
  return found;
}

const isJoliet = (descriptor: Buffer): boolean =>
  descriptor[0] === TYPE.supplementary && JOLIET.includes(descriptor.toString('latin1', 88, 91));

/** ECMA-119 §9.1; both byte orders are there, the little one is read. */
function entryOf(record: Buffer, name: string): VolumeEntry {
  const flags = record.readUInt8(25);
  if ((flags & FLAG_MULTI_EXTENT) !== 0) throw volumeInvalid(`${name} has several extents`);
  return {
    name,
    isDirectory: (flags & FLAG_DIRECTORY) !== 0,
    at: record.readUInt32LE(2) * SECTOR_BYTES,
    sizeBytes: record.readUInt32LE(10),
  };
}

/** Without `.` and `..`, whose names are one byte, 0 and 1. */
function records(directory: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < directory.length; ) {
    const length = directory[at] ?? 0;
    if (length === 0) {
      at = (Math.floor(at / SECTOR_BYTES) + 1) * SECTOR_BYTES;
      continue;
    }
    const record = directory.subarray(at, at + length);
    const nameLength = record[32] ?? 0;
    if (record.length < 34 || 33 + nameLength > record.length)
      throw volumeInvalid('a directory record is cut short');
    if (nameLength !== 1 || (record[33] ?? 0) > 1) found.push(record);
    at += length;
  }
  return found;
}

const identifier = (record: Buffer): Buffer => record.subarray(33, 33 + record.readUInt8(32));

const withoutVersion = (name: string): string => name.replace(/\.?;\d+$/, '');

const jolietName = (record: Buffer): string =>
  // Big endian; a copy, for swap16 works in place.
  withoutVersion(
    Buffer.from(identifier(record).subarray(0, identifier(record).length & ~1))
      .swap16()
      .toString('utf16le'),
  );

/** SUSP 1.12 §4 and RRIP 1.12 §4.1.4: entries of signature, length, version, data; NM has the name. */
function rockRidgeName(record: Buffer): string {
  const { length } = identifier(record);
  let name = '';
  for (let at = 33 + length + (length % 2 === 0 ? 1 : 0); at + 4 <= record.length; ) {
    const entryBytes = record[at + 2] ?? 0;
    if (entryBytes < 4) break;
    if (record.toString('latin1', at, at + 2) === 'NM')
      name += record.toString('utf8', at + 5, Math.min(at + entryBytes, record.length));
    at += entryBytes;
  }
  return name === '' ? withoutVersion(identifier(record).toString('latin1')).toLowerCase() : name;
}
