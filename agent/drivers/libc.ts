// The few calls of libc that Node does not offer, through node:ffi. Knows signatures and errno, and
// nothing of what the calls are for. 64-bit Linux with glibc only.

import ffi from 'node:ffi';
import { errnoName } from './errno.ts';

/** A call of libc that returned -1. `errno` is its name, e.g. ENOTTY. */
export interface Failed {
  readonly errno: string;
}

export interface Libc {
  /** mount(2). `data` is the option string, '' for none. Null when it worked. */
  mount(source: string, target: string, type: string, flags: number, data: string): Failed | null;
  umount2(target: string, flags: number): Failed | null;
  /** ioctl(2) with a pointer; the kernel reads and writes `argument` in place. */
  ioctl(fd: number, request: bigint, argument: Uint8Array): Failed | null;
  /** ioctl(2) with a number or nothing behind the request: the result (not negative), or why not. */
  ioctlValue(fd: number, request: bigint, argument: number): number | Failed;
  /** Writes everything of the file system that `fd` lies on to its device. */
  syncfs(fd: number): Failed | null;
}

/** Loads libc into this thread. Cheap: the library is in the process already. */
export function openLibc(): Libc {
  const { functions: c } = ffi.dlopen('libc.so.6', {
    mount: { arguments: ['string', 'string', 'string', 'u64', 'string'], return: 'i32' },
    umount2: { arguments: ['string', 'i32'], return: 'i32' },
    ioctl: { arguments: ['i32', 'u64', 'u64'], return: 'i32' },
    syncfs: { arguments: ['i32'], return: 'i32' },
    __errno_location: { arguments: [], return: 'pointer' },
  });
  // errno belongs to the thread; it has to be read before anything else runs on it.
  const failed = (): Failed => ({
    errno: errnoName(ffi.getInt32(c.__errno_location())),
  });
  const check = (result: number): Failed | null => (result === -1 ? failed() : null);
  return {
    mount: (source, target, type, flags, data) =>
      check(c.mount(source, target, type, BigInt(flags), data)),
    umount2: (target, flags) => check(c.umount2(target, flags)),
    ioctl: (fd, request, argument) => check(c.ioctl(fd, request, ffi.getRawPointer(argument))),
    ioctlValue: (fd, request, argument) => {
      const result = c.ioctl(fd, request, BigInt(argument));
      return result === -1 ? failed() : result;
    },
    syncfs: (fd) => check(c.syncfs(fd)),
  };
}
