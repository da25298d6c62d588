// Tar streams made to hurt, from a seed: right in form as often as wrong, so that they get past the
// first checks. Imported by tests only.

import type { Random } from './random-testing.ts';
import { paxRecord, TAR_END, type TarPart, tarPart } from './tar-testing.ts';

const BLOCK = 512;
const NAMES = ['a', 'b', 'c', 'd', 'd/a', 'd/b', 'e/', 'd/e/', 'a//b', '.wh.a', '.wh..wh..opq'];
const BAD_NAMES = ['', '.', './', '..', '../x', '/abs', 'a/../b', 'a\0b', '.wh.', '.wh.d/x'];
const TYPES = ['0', '0', '0', '1', '1', '2', '2', '3', '4', '5', '5', '5', '6', '7', '\0'];
const BAD_TYPES = ['S', 'V', 'D', 'M', 'N', 'A', '8', '\xff'];
const KEYS = ['path', 'linkpath', 'uid', 'gid', 'mtime', 'comment', 'SCHILY.xattr.user.k'];
const BAD_KEYS = [
  'size',
  'SCHILY.devmajor',
  'GNU.sparse.size',
  'GNU.sparse.major',
  'SCHILY.xattr.',
];
const VALUES = ['', '0', '1', '65536', '007'];
const BAD_VALUES = ['-1', '9'.repeat(25), '1e9', '0x10', '1.5', '-0.000000001', 'NaN', ' 7', '\0'];
const XATTR = 'LIBARCHIVE.xattr.user.%00%ff%zz';

export function hostileTar(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let left = random.int(1, 12); left > 0; left -= 1) parts.push(hostileEntry(random));
  if (random.chance(0.8)) parts.push(TAR_END);
  return Buffer.concat(parts);
}

const name = (random: Random): string => {
  const kind = random.int(0, 19);
  if (kind < 16) return random.pick(NAMES);
  if (kind === 16) return random.pick(BAD_NAMES);
  if (kind === 17) return 'deep/'.repeat(random.int(1, 900));
  return kind === 18 ? 'n'.repeat(random.int(250, 260)) : random.bytes(20).toString('latin1');
};

function hostileEntry(random: Random): Buffer {
  const type = random.pick(random.chance(0.02) ? BAD_TYPES : TYPES);
  const hasBody = type === '0' || random.chance(0.02);
  const body = hasBody ? random.bytes(random.pick([0, 1, 64, 65, 511, 512, 513, 3000])) : '';
  const isLie = random.chance(0.03);
  const part: TarPart = {
    name: name(random).slice(0, 100),
    type,
    body,
    link: random.pick(random.chance(0.05) ? BAD_NAMES : NAMES),
    mode: random.int(0, 0o7777777),
    device: [random.int(0, 4100), random.int(0, 0x100003)],
    format: random.pick(['ustar', 'gnu', 'v7']),
    ...(isLie ? { size: random.pick([1, 511, 2 ** 33 - 1, body.length + 512]) } : {}),
  };
  let bytes = tarPart(part);
  if (random.chance(0.1)) bytes = withField(random, bytes);
  for (let left = random.pick([0, 0, 0, 1, 2]); left > 0; left -= 1)
    bytes = Buffer.concat([extension(random), bytes]);
  return bytes;
}

/** Offset and length of mode, uid, gid, size, mtime, major, minor and the checksum itself. */
const FIELDS = [
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [124, 12],
  [136, 12],
  [329, 8],
  [337, 8],
  [148, 8],
] as const;

/** A number field replaced: base 256 (negative, huge), blanks, rubbish. The checksum is mended. */
function withField(random: Random, part: Buffer): Buffer {
  const [offset, length] = random.pick(FIELDS);
  const value = Buffer.alloc(length, random.pick([0, 0x20, 0x37, 0xff, 0x80]));
  const kind = random.int(0, 3);
  if (kind === 0) random.bytes(length).copy(value);
  if (kind === 1) value.fill(0).writeUInt8(0x80);
  if (kind === 1) value.writeUInt32BE(random.pick([0, 1, 64, 0xffffffff]), length - 4);
  if (kind === 2) value.write(random.pick(['8', '-1', ' 12 ', '777777777777', '0x1f', '1\x002']));
  value.copy(part, offset);
  if (offset !== 148 || random.chance(0.5)) mendChecksum(part);
  return part;
}

function mendChecksum(header: Buffer): void {
  header.fill(' ', 148, 156);
  const sum = header.subarray(0, BLOCK).reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

/** After a mutation: every header that still looks like one gets its checksum back. */
export function mendChecksums(tar: Buffer): Buffer {
  for (let at = 0; at + BLOCK <= tar.length; at += BLOCK)
    if (tar.toString('latin1', at + 257, at + 262) === 'ustar')
      mendChecksum(tar.subarray(at, at + BLOCK));
  return tar;
}

/** A PAX header, local or global, or a long name; its records lie about their length at times. */
function extension(random: Random): Buffer {
  const kind = random.int(0, 9);
  if (kind === 0) return tarPart({ type: 'L', body: `${name(random)}\0`, format: 'gnu' });
  if (kind === 1) return tarPart({ type: 'K', body: name(random), format: 'gnu' });
  let records = '';
  for (let left = random.int(0, 4); left > 0; left -= 1) {
    const key = random.pick(random.chance(0.1) ? BAD_KEYS : [...KEYS, XATTR]);
    const isPath = key === 'path' || key === 'linkpath';
    const record = paxRecord(key, isPath ? name(random) : value(random));
    records += random.chance(0.05) ? liar(random, record) : record;
  }
  return tarPart({ type: kind === 2 ? 'g' : 'x', body: records });
}

const value = (random: Random): string => random.pick(random.chance(0.1) ? BAD_VALUES : VALUES);

const liar = (random: Random, record: string): string =>
  random.pick([
    record.replace(/^\d+/, String(random.pick([0, 1, 3, 9_999_999_999, 99]))),
    record.replace(/^\d+/, (digits) => `0${digits}`),
    record.replace(/^\d+ /, ''),
    record.replace('=', ' '),
    record.slice(0, -1),
    `${record}\0`,
  ]);
