// Loop devices: a file as a block device. Source: Linux include/uapi/linux/loop.h.

import { closeSync, openSync } from 'node:fs';
import { BilletError } from '#shared/errors.ts';
import { type Libc, openLibc } from './libc.ts';

export interface LoopDevice {
  /** E.g. /dev/loop0. */
  readonly path: string;
  /** Call once it is mounted (or not wanted): the device goes away with its last user. */
  release(): void;
}

/** Throws UNSUPPORTED without the loop driver, MOUNT_FAILED when no device takes the file. */
export type AttachLoop = (file: string, options?: { readOnly?: boolean }) => LoopDevice;

const LOOP_CTL_GET_FREE = 0x4c82n;
const LOOP_CONFIGURE = 0x4c0an;
/** struct loop_config: fd, block_size, struct loop_info64 (232 bytes), reserved (64 bytes). */
const CONFIG_BYTES = 304;
const FLAGS_OFFSET = 8 + 52; // lo_flags in loop_info64
const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
/** Another process may take the free device between the two calls. */
const ATTEMPTS = 16;

export function loopDevices(libc: Libc = openLibc()): AttachLoop {
  return (file, { readOnly = false } = {}) => {
    const backing = openSync(file, readOnly ? 'r' : 'r+');
    try {
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const device = tryAttach(libc, backing, readOnly);
        if (device !== null) return device;
      }
      throw failed(file, 'EBUSY');
    } finally {
      closeSync(backing);
    }
  };
}

/** Null when another process was faster. */
function tryAttach(libc: Libc, backing: number, readOnly: boolean): LoopDevice | null {
  const path = `/dev/loop${freeNumber(libc)}`;
  const device = openSync(path, readOnly ? 'r' : 'r+');
  const config = Buffer.alloc(CONFIG_BYTES);
  config.writeUInt32LE(backing, 0);
  const readOnlyFlag = readOnly ? LO_FLAGS_READ_ONLY : 0;
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR | readOnlyFlag, FLAGS_OFFSET);
  const error = libc.ioctl(device, LOOP_CONFIGURE, config);
  if (error === null) return { path, release: () => closeSync(device) };
  closeSync(device);
  if (error.errno === 'EBUSY') return null;
  throw failed(path, error.errno);
}

function freeNumber(libc: Libc): number {
  let control: number;
  try {
    control = openSync('/dev/loop-control', 'r+');
  } catch (cause) {
    throw new BilletError('UNSUPPORTED', 'this kernel has no loop devices', {
      hint: 'modprobe loop',
      cause,
    });
  }
  const free = libc.ioctlValue(control, LOOP_CTL_GET_FREE, 0);
  closeSync(control);
  if (typeof free === 'number') return free;
  throw failed('/dev/loop-control', free.errno);
}

function failed(what: string, errno: string): BilletError {
  return new BilletError('MOUNT_FAILED', `no loop device for ${what}: ${errno}`, {
    hint: 'losetup --list shows the devices in use',
    details: { errno },
  });
}
