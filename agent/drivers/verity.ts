// fs-verity of single files: seal and measure, by ioctl. Decides nothing and opens nothing.
// Source: Linux Documentation/filesystems/fsverity.rst, include/uapi/linux/fsverity.h.

import { BilletError } from '#shared/errors.ts';
import type { Libc } from './libc.ts';

export interface Verity {
  /**
   * Seals the file behind `fd` (opened for reading, by nobody for writing): SHA-256, blocks of 4096
   * bytes, no salt. Its content is on disk and cannot change after this. One that is sealed already
   * is fine. Throws UNSUPPORTED where kernel or file system have no fs-verity, else VERITY_FAILED.
   */
  enable(fd: number): void;
  /** The digest of a sealed file, 64 hex digits; null when it is not sealed. */
  measure(fd: number): string | null;
}

const FS_IOC_ENABLE_VERITY = 0x40806685n;
const FS_IOC_MEASURE_VERITY = 0xc0046686n;
const FS_VERITY_HASH_ALG_SHA256 = 1;
const BLOCK_BYTES = 4096;
const SHA256_BYTES = 32;

const NOT_HERE = new Set(['EOPNOTSUPP', 'ENOTTY', 'ENOTSUP']);
/** ENODATA: not sealed. The others: it cannot be sealed, so it is not. */
const NOT_SEALED = new Set(['ENODATA', ...NOT_HERE]);

export function fileVerity(libc: Libc): Verity {
  // struct fsverity_enable_arg, 128 bytes: version, hash_algorithm, block_size, the rest zero.
  const enableArgument = Buffer.alloc(128);
  enableArgument.writeUInt32LE(1, 0);
  enableArgument.writeUInt32LE(FS_VERITY_HASH_ALG_SHA256, 4);
  enableArgument.writeUInt32LE(BLOCK_BYTES, 8);
  // struct fsverity_digest: u16 algorithm, u16 size (in: room, out: bytes), the digest.
  const digest = Buffer.alloc(4 + SHA256_BYTES);

  return {
    enable(fd) {
      const failed = libc.ioctl(fd, FS_IOC_ENABLE_VERITY, enableArgument);
      if (failed === null || failed.errno === 'EEXIST') return;
      if (NOT_HERE.has(failed.errno)) throw unsupported(failed.errno);
      throw verityFailed('seal', failed.errno);
    },
    measure(fd) {
      digest.writeUInt16LE(0, 0);
      digest.writeUInt16LE(SHA256_BYTES, 2);
      const failed = libc.ioctl(fd, FS_IOC_MEASURE_VERITY, digest);
      if (failed === null && digest.readUInt16LE(0) === FS_VERITY_HASH_ALG_SHA256)
        return digest.toString('hex', 4);
      if (failed === null || failed.errno === 'EOVERFLOW') return null; // sealed in another way
      if (NOT_SEALED.has(failed.errno)) return null;
      throw verityFailed('measure', failed.errno);
    },
  };
}

function unsupported(errno: string): BilletError {
  return new BilletError('UNSUPPORTED', `no fs-verity on this file system (${errno})`, {
    hint: 'use ext4 made with `mkfs.ext4 -O verity -b 4096` on a kernel with CONFIG_FS_VERITY',
    details: { errno },
  });
}

function verityFailed(verb: string, errno: string): BilletError {
  // The kernel writes the hash tree behind the content: a full disk shows here first.
  if (errno === 'ENOSPC' || errno === 'EDQUOT')
    return new BilletError('STORE_FULL', `no space left to ${verb} a file`, {
      hint: 'make the persist disk (or the memory of the machine) larger, or run fewer modules',
      details: { errno },
    });
  return new BilletError('VERITY_FAILED', `fs-verity could not ${verb} a file: ${errno}`, {
    hint: 'look at `dmesg | grep -i verity`; the disk may be failing',
    details: { errno },
  });
}
