// One 512-byte tar header and PAX records, as bytes: ustar, v7 and GNU. Reads no stream.
// Sources: POSIX.1-2017 pax "ustar Interchange Format" and "pax Interchange Format", GNU tar manual
// "Basic Tar Format".

import { BilletError } from '#shared/errors.ts';
import type { ByteString } from './tree.ts';

export const TAR_BLOCK_BYTES = 512;

/** `TAR_INVALID`, with what is wrong. */
export const tarError = (message: string, hint = 'build the layer again'): BilletError =>
  new BilletError('TAR_INVALID', message, { hint });

export interface TarHeader {
  /** `0` regular, `1` hard link … `x` PAX, `L` GNU long name. */
  readonly type: string;
  readonly name: ByteString;
  readonly linkName: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeSec: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

/** Null for a block of zeros. Errors: TAR_INVALID for a wrong checksum or number. */
export function parseHeader(block: Buffer): TarHeader | null {
  const expected = block.subarray(148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  if (sum === 0) return null;
  for (const byte of expected) sum += 0x20 - byte;
  if (parseNumber(expected, 'checksum') !== sum)
    throw tarError('a tar header with a wrong checksum');
  const magic = block.toString('latin1', 257, 265);
  const isUstar = magic === 'ustar\x0000';
  const isGnu = magic === 'ustar  \0';
  const name = cString(block, 0, 100);
  const prefix = isUstar ? cString(block, 345, 500) : '';
  const hasDevice = isUstar || isGnu;
  return {
    type: String.fromCharCode(block[156] ?? 0),
    name: prefix === '' ? name : `${prefix}/${name}`,
    linkName: cString(block, 157, 257),
    mode: parseNumber(block.subarray(100, 108), 'mode'),
    uid: parseNumber(block.subarray(108, 116), 'uid'),
    gid: parseNumber(block.subarray(116, 124), 'gid'),
    sizeBytes: parseNumber(block.subarray(124, 136), 'size'),
    mtimeSec: parseNumber(block.subarray(136, 148), 'time'),
    devMajor: hasDevice ? parseNumber(block.subarray(329, 337), 'device') : 0,
    devMinor: hasDevice ? parseNumber(block.subarray(337, 345), 'device') : 0,
  };
}

/** Up to the first NUL. */
export function cString(block: Buffer, start: number, end: number): ByteString {
  const nul = block.indexOf(0, start);
  return block.toString('latin1', start, nul < 0 || nul > end ? end : nul);
}

/** Octal digits between spaces and NULs, or base 256 where the first bit is set (GNU). */
function parseNumber(field: Buffer, name: string): number {
  const first = field[0] ?? 0;
  if (first === 0x80 || first === 0xff) {
    let value = first === 0xff ? -1n : 0n;
    for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
    if (!Number.isSafeInteger(Number(value)))
      throw tarError(`a tar header with the ${name} ${value}`);
    return Number(value);
  }
  const text = field
    .toString('latin1')
    .replace(/\0[\s\S]*$/, '')
    .trim();
  if (!/^[0-7]*$/.test(text)) throw tarError(`a tar header with the ${name} "${text}"`);
  return text === '' ? 0 : Number.parseInt(text, 8);
}

export type PaxRecords = Map<ByteString, Buffer>;

/** `length key=value\n` again and again; an empty value takes the key back. */
export function parsePax(data: Buffer, into: PaxRecords): void {
  for (let offset = 0; offset < data.length; ) {
    const space = data.indexOf(0x20, offset);
    const digits = space < 0 ? '' : data.toString('latin1', offset, space);
    const end = /^[1-9][0-9]{0,9}$/.test(digits) ? offset + Number(digits) : -1;
    const equals = data.indexOf(0x3d, space);
    const isRecord = end <= data.length && space < equals && equals < end && data[end - 1] === 0x0a;
    if (!isRecord || equals === space + 1) throw tarError('a PAX record that is malformed');
    const key = data.toString('latin1', space + 1, equals);
    // A copy: the chunk that it lies in belongs to the stream.
    into.set(key, Buffer.from(data.subarray(equals + 1, end - 1)));
    offset = end;
  }
}

/** A PAX number: whole, unsigned. */
export function paxInteger(value: Buffer, key: string): number {
  const text = value.toString('latin1');
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(number))
    throw tarError(`the PAX record ${key} is "${text}"`);
  return number;
}

/** Decimal seconds, possibly negative; digits past the ninth are cut off towards the past. */
export function paxTime(value: Buffer): { mtimeSec: number; mtimeNsec: number } {
  const text = value.toString('latin1');
  const [, sign = '', whole = '', fraction = ''] = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(text) ?? [];
  const seconds = Number(whole);
  if (whole === '' || !Number.isSafeInteger(seconds))
    throw tarError(`the PAX record mtime is "${text}"`);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { mtimeSec: seconds, mtimeNsec: nanoseconds };
  const isCut = /[1-9]/.test(fraction.slice(9));
  const down = nanoseconds + (isCut ? 1 : 0);
  if (down === 0) return { mtimeSec: -seconds + 0, mtimeNsec: 0 };
  return { mtimeSec: -seconds - 1, mtimeNsec: 1_000_000_000 - down };
}
