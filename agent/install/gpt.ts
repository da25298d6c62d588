// Reads a GUID partition table from its bytes. Pure; writes none. Source: UEFI 2.10 §5.3.
//
//   LBA 0 protective MBR | LBA 1 header | LBA 2… entries of 128 bytes | … | copies at the end

import { crc32 } from 'node:zlib';

export interface GptPartition {
  /** From 1, as the kernel counts. */
  readonly number: number;
  readonly guid: string;
  readonly name: string;
  readonly startBytes: number;
  readonly sizeBytes: number;
}

export interface Gpt {
  readonly diskGuid: string;
  readonly partitions: readonly GptPartition[];
}

const SIGNATURE = 'EFI PART';
const NAME_OFFSET = 56;

/** Null when the first table is not whole. `start` is the beginning of the disk, 40 KiB or more. */
export function parseGpt(start: Buffer, sectorBytes: number): Gpt | null {
  const header = start.subarray(sectorBytes, 2 * sectorBytes);
  if (header.length < sectorBytes || header.toString('latin1', 0, 8) !== SIGNATURE) return null;
  const headerBytes = header.readUInt32LE(12);
  if (headerBytes < 92 || headerBytes > sectorBytes) return null;
  const blanked = Buffer.from(header.subarray(0, headerBytes));
  blanked.writeUInt32LE(0, 16);
  if (crc32(blanked) !== header.readUInt32LE(16)) return null;
  const at = Number(header.readBigUInt64LE(72)) * sectorBytes;
  const [count, entryBytes] = [header.readUInt32LE(80), header.readUInt32LE(84)];
  const entries = start.subarray(at, at + count * entryBytes);
  if (entryBytes < 128 || entries.length < count * entryBytes) return null;
  if (crc32(entries) !== header.readUInt32LE(88)) return null;
  const partitions: GptPartition[] = [];
  for (let index = 0; index < count; index += 1) {
    const entry = entries.subarray(index * entryBytes, (index + 1) * entryBytes);
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue;
    const [first, last] = [entry.readBigUInt64LE(32), entry.readBigUInt64LE(40)].map(Number);
    partitions.push({
      number: index + 1,
      guid: guidText(entry.subarray(16, 32)),
      name: entry.toString('utf16le', NAME_OFFSET, 128).replace(/\0.*$/s, ''),
      startBytes: (first ?? 0) * sectorBytes,
      sizeBytes: ((last ?? 0) - (first ?? 0) + 1) * sectorBytes,
    });
  }
  return { diskGuid: guidText(header.subarray(56, 72)), partitions };
}

/** The first three fields are little-endian (UEFI 2.10, appendix A). */
export function guidText(bytes: Buffer): string {
  const swapped = [bytes.subarray(0, 4), bytes.subarray(4, 6), bytes.subarray(6, 8)].map((part) =>
    Buffer.from(part).reverse().toString('hex'),
  );
  const rest = bytes.toString('hex', 8, 16);
  return [...swapped, rest.slice(0, 4), rest.slice(4)].join('-');
}

/** The 16 bytes of a GUID as in GPT entries and device paths. */
export function guidBytes(text: string): Buffer {
  const [a = '', b = '', c = '', d = '', e = ''] = text.split('-');
  const little = [a, b, c].map((part) => Buffer.from(part, 'hex').reverse());
  return Buffer.concat([...little, Buffer.from(d + e, 'hex')]);
}
