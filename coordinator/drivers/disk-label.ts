// File systems on the disks of new machines: ext4 as the object store wants it, with a label.

import { BilletError } from '#shared/errors.ts';
import type { LabelDisk } from '../providers/machine-files.ts';
import type { Run } from './exec.ts';

/** COMMAND_FAILED with what mkfs said. */
export const labelDiskBy =
  (run: Run): LabelDisk =>
  async (path, label, signal) => {
    // Small file systems have 1 KiB blocks without -b, and fs-verity wants those of the page size.
    const shape = ['-q', '-F', '-O', 'verity', '-b', '4096', '-L', label];
    const { code, stderr } = await run(['mkfs.ext4', ...shape, path], signal);
    if (code === 0) return;
    throw new BilletError('COMMAND_FAILED', `mkfs.ext4 ended with ${code}: ${stderr.trim()}`, {
      hint: 'is the disk of the instance type large enough? a file system needs 8 MiB',
    });
  };
