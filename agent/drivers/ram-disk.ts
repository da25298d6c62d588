// A block device in memory: Linux's brd (Documentation/admin-guide/blockdev/ramdisk.rst). Its writes
// are copies in the caller's own context, where a loop device over tmpfs hands each to a thread:
// sealing the files of a system takes half the time (docs/performance.md).

import { BilletError } from '#shared/errors.ts';
import type { Exec } from './exec.ts';

export const RAM_DISK = '/dev/ram0';

/**
 * Loads the driver with one disk of that size (a multiple of 4096; memory is taken as it is written,
 * and given back at the next power-on only). A disk that is there already stays as it is. Gives its
 * path; throws UNSUPPORTED without the driver.
 */
export async function makeRamDisk(
  sizeBytes: number,
  exec: Exec,
  signal: AbortSignal,
): Promise<string> {
  const size = ['rd_nr=1', 'max_part=0', `rd_size=${sizeBytes / 1024}`];
  const { code, stderr } = await exec(['/usr/sbin/modprobe', 'brd', ...size], signal);
  if (code === 0) return RAM_DISK;
  throw new BilletError('UNSUPPORTED', `no disk in memory: ${stderr.trim()}`, {
    hint: 'use a boot image whose kernel has brd (CONFIG_BLK_DEV_RAM=m), or a disk labelled billet-persist',
    details: { code },
  });
}
