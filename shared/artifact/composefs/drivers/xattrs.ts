// Extended attributes of files, which Node has no call for: libc through node:ffi. Reads only,
// follows no symlink. Linux with glibc, 64 bit.

import ffi from 'node:ffi';
import { getSystemErrorName } from 'node:util';
import { BilletError } from '#shared/errors.ts';

/** Keys are bytes. Errors: COMMAND_FAILED, with the name of the error of the kernel. */
export type ReadXattrs = (path: Buffer) => Map<string, Buffer>;

/** XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux. */
const LIMIT_BYTES = 65_536;
/** A file system without xattrs has none. */
const NONE = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENODATA']);

export function openXattrs(): ReadXattrs {
  const { functions: c } = ffi.dlopen('libc.so.6', {
    llistxattr: { arguments: ['u64', 'u64', 'u64'], return: 'i64' },
    lgetxattr: { arguments: ['u64', 'u64', 'u64', 'u64'], return: 'i64' },
    __errno_location: { arguments: [], return: 'pointer' },
  });
  const list = Buffer.alloc(LIMIT_BYTES);
  const value = Buffer.alloc(LIMIT_BYTES);

  /** Null for none. */
  const bytesOrThrow = (result: bigint, path: Buffer): number | null => {
    if (result >= 0n) return Number(result);
    const errno = getSystemErrorName(-ffi.getInt32(c.__errno_location()));
    if (NONE.has(errno)) return null;
    throw new BilletError('COMMAND_FAILED', `xattrs of ${path.toString()}: ${errno}`, {
      hint: 'read the directory as root',
    });
  };

  return (path) => {
    const pathZ = Buffer.concat([path, Buffer.alloc(1)]);
    const at = ffi.getRawPointer(pathZ);
    const listed = c.llistxattr(at, ffi.getRawPointer(list), BigInt(list.length));
    const listBytes = bytesOrThrow(listed, path) ?? 0;
    const xattrs = new Map<string, Buffer>();
    for (const key of list.toString('latin1', 0, listBytes).split('\0').slice(0, -1)) {
      const keyZ = Buffer.from(`${key}\0`, 'latin1');
      const got = c.lgetxattr(
        at,
        ffi.getRawPointer(keyZ),
        ffi.getRawPointer(value),
        BigInt(value.length),
      );
      const valueBytes = bytesOrThrow(got, path);
      // EROFS and others list what Linux then does not give, such as user.* of a symlink.
      if (valueBytes !== null) xattrs.set(key, Buffer.from(value.subarray(0, valueBytes)));
    }
    return xattrs;
  };
}
