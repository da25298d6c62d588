// Random names, owners, times, modes and xattrs: every value that Linux lets an inode have, and the
// awkward ones often. Imported by tests only.

import type { Random } from './random-testing.ts';
import * as tree from './tree.ts';

/**
 * `image`: what a composefs image can hold and the kernel shows. `disk`: only what can be laid down
 * on ext4 by a tar, too (no modes of symlinks, times of 34 bits, xattrs of files and directories).
 */
export type Profile = 'image' | 'disk';

const WORDS = ['a', 'usr', 'lib', '..a', '...', '-', '--', '00', 'ff', '3e', 'café', '名前', '\\n'];
const ODD = [
  ' ',
  '\t',
  '\n',
  '\\',
  '"',
  '=',
  '*',
  ':',
  ',',
  '\x01',
  '\x7f',
  '\x80',
  '\xff',
  '\xc3',
];

/** Bytes, 1 to 255 of them; neither `.`, `..` nor a whiteout of OCI layers. */
export function randomName(random: Random, profile: Profile): tree.ByteString {
  const kind = random.int(0, 9);
  const word = tree.bytesOfText(random.pick(WORDS));
  const number = random.int(0, 1e9).toString(36);
  if (kind < 4) return `${word}${number}`;
  if (kind < 6) return `${random.pick(ODD)}${number}${random.pick(ODD)}`;
  if (kind === 6) return anyBytes(random, random.int(1, 254));
  // mkfs.erofs 1.5 cuts the last byte off a name of 255.
  if (kind === 7) return anyBytes(random, profile === 'image' ? 255 : 254);
  if (kind === 8) return random.chance(0.5) ? word : `${number}.conf`;
  return `${'n'.repeat(random.int(200, 240))}${number}`;
}

function anyBytes(random: Random, count: number): tree.ByteString {
  const bytes = random.bytes(count).map((byte) => (byte === 0 || byte === 0x2f ? 0xfe : byte));
  const name = Buffer.from(bytes).toString('latin1');
  return name === '.' || name === '..' || name.startsWith('.wh.') ? `x${name.slice(1)}` : name;
}

const IDS = [0, 1, 1000, 65_533, 65_534, 65_535, 65_536, 70_000, 2 ** 31, 2 ** 32 - 2];
/** 34 bits: what ext4 with inodes of 256 bytes holds, but for its very ends, where it cuts fractions. */
const DISK_TIMES = [0, 1, -1, 1 - 2 ** 31, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 15_032_385_534];
/** The years 1, 1601, 9999 and 292,277; a second before and after 2^34. */
const IMAGE_TIMES = [-62_135_596_800, -11_644_473_600, 253_402_300_799, 2 ** 43, 2 ** 34 - 1];
const NANOSECONDS = [0, 0, 1, 999_999_999, 500_000_000, 123_456_789];

export function randomMetadata(type: number, random: Random, profile: Profile): tree.Metadata {
  const times = profile === 'image' ? [...DISK_TIMES, ...IMAGE_TIMES] : DISK_TIMES;
  const isFixedMode = profile === 'disk' && type === tree.S_IFLNK;
  return {
    mode: type | (isFixedMode ? 0o777 : random.int(0, 0o7777)),
    uid: random.pick(IDS),
    gid: random.pick(IDS),
    // Most files of a real tree have one of few times.
    mtimeSec: random.chance(0.5) ? 1_700_000_000 : random.pick(times),
    mtimeNsec: random.pick(NANOSECONDS),
    xattrs: random.chance(0.3) ? randomXattrs(type, random, profile) : new Map(),
  };
}

const OVERLAY_KEYS = ['opaque', 'redirect', 'metacopy', 'origin', 'overlay.opaque', 'x'];

function randomXattrs(type: number, random: Random, profile: Profile): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  const isData = type === tree.S_IFREG || type === tree.S_IFDIR;
  // Tar programs set them on files and directories only.
  if (profile === 'disk' && !isData) return xattrs;
  const largest = profile === 'image' ? 12_000 : 400;
  const value = (): Buffer =>
    random.chance(0.3) ? Buffer.from(random.pick(['', 'shared', '\0', '\n=\0'])) : small();
  const small = (): Buffer => random.bytes(random.int(0, 60));
  // Linux keeps user.* for files and directories.
  const prefixes = [...(isData ? ['user.', 'user.overlay.'] : []), 'trusted.', 'security.'];
  const isMany = profile === 'image' && type !== tree.S_IFLNK && random.chance(0.05);
  const many = isMany ? 200 : random.int(0, 4);
  for (let left = many; left > 0; left -= 1)
    xattrs.set(random.pick(prefixes) + random.pick(['a', 'k.sub', 'käse', `n${left}`]), value());
  if (isData && random.chance(0.1)) xattrs.set('user.large', random.bytes(random.int(1, largest)));
  if (random.chance(0.2))
    xattrs.set('security.selinux', Buffer.from('system_u:object_r:bin_t:s0\0'));
  if (type === tree.S_IFREG && random.chance(0.2))
    xattrs.set('security.capability', capability(random, profile));
  if (profile === 'image') {
    if (random.chance(0.2)) xattrs.set(`trusted.overlay.${random.pick(OVERLAY_KEYS)}`, value());
    if (isData && random.chance(0.2)) xattrs.set('system.posix_acl_access', acl(random));
    if (type === tree.S_IFDIR && random.chance(0.2))
      xattrs.set('system.posix_acl_default', acl(random));
  }
  return xattrs;
}

/** struct vfs_cap_data of Linux, version 2; or version 3 of another user namespace's root. */
function capability(random: Random, profile: Profile): Buffer {
  const isNamespaced = profile === 'image' && random.chance(0.3);
  const data = Buffer.alloc(isNamespaced ? 24 : 20);
  data.writeUInt32LE((isNamespaced ? 0x03000000 : 0x02000000) | 1, 0);
  data.writeUInt32LE(random.int(1, 2 ** 31), 4);
  if (isNamespaced) data.writeUInt32LE(100_000, 20);
  return data;
}

/** struct posix_acl_xattr_header and entries: owner, a user, group, mask, others. */
function acl(random: Random): Buffer {
  const entry = (tag: number, id: number): Buffer => {
    const data = Buffer.alloc(8);
    data.writeUInt16LE(tag, 0);
    data.writeUInt16LE(random.int(0, 7), 2);
    data.writeUInt32LE(id, 4);
    return data;
  };
  const nobody = 0xffffffff;
  return Buffer.concat([
    Buffer.from([2, 0, 0, 0]),
    entry(0x01, nobody),
    entry(0x02, random.int(1, 70_000)),
    entry(0x04, nobody),
    entry(0x10, nobody),
    entry(0x20, nobody),
  ]);
}
