// An entry of the firmware's boot menu as bytes, and whether an entry is ours. Pure. Source: UEFI 2.10
// §3.1.3 (EFI_LOAD_OPTION), §10.3.5 (media device paths).
//
//   attributes u32 | bytes of the paths u16 | description UTF-16LE, NUL | device paths
//   hard drive: 04 01 length u16 | number u32 | start u64 | size u64 | GUID | 02 (GPT) | 02 (GUID)
//   file path:  04 04 length u16 | path UTF-16LE, NUL
//   end:        7f ff 04 00

import { type GptPartition, guidBytes } from './gpt.ts';

export interface LoadOption {
  readonly description: string;
  /** With backslashes. */
  readonly path: string;
  readonly partition: GptPartition;
  readonly sectorBytes: number;
}

const ACTIVE = 1;
const END = Buffer.from([0x7f, 0xff, 0x04, 0x00]);

export function encodeLoadOption(option: LoadOption): Buffer {
  const { description, path, partition, sectorBytes } = option;
  const drive = Buffer.alloc(42);
  drive.set([0x04, 0x01, drive.length, 0x00]);
  drive.writeUInt32LE(partition.number, 4);
  drive.writeBigUInt64LE(BigInt(partition.startBytes / sectorBytes), 8);
  drive.writeBigUInt64LE(BigInt(partition.sizeBytes / sectorBytes), 16);
  drive.set(guidBytes(partition.guid), 24);
  drive.set([0x02, 0x02], 40);
  const text = utf16(path);
  const file = Buffer.concat([Buffer.from([0x04, 0x04, 0, 0]), text]);
  file.writeUInt16LE(file.length, 2);
  const paths = Buffer.concat([drive, file, END]);
  const head = Buffer.alloc(6);
  head.writeUInt32LE(ACTIVE, 0);
  head.writeUInt16LE(paths.length, 4);
  return Buffer.concat([head, utf16(description), paths]);
}

/** The text that a menu shows; null for what is no load option. */
export function descriptionOf(option: Buffer): string | null {
  const text = option.subarray(6).toString('utf16le');
  const end = text.indexOf('\0');
  return end < 0 ? null : text.slice(0, end);
}

const utf16 = (text: string): Buffer => Buffer.from(`${text}\0`, 'utf16le');
