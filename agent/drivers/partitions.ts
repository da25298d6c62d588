// The partitions of this machine's disks by their GPT names and UUIDs, as the kernel lists them. Reads
// sysfs; opens no disk.

import { readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { namesIn, textOrNull } from '../identity/source-file.ts';

export interface Partition {
  /** Path of its device node. */
  readonly device: string;
  /** Kernel name of the disk that it is part of. */
  readonly disk: string;
  /** Of the GPT entry; null where it has none. */
  readonly name: string | null;
  /** Lower case. */
  readonly uuid: string | null;
}

/** In order of kernel names. Of a partition table without names and UUIDs nothing is known. */
export async function listPartitions(root = '/'): Promise<Partition[]> {
  const found: Partition[] = [];
  const at = join(root, 'sys/class/block');
  for (const kernelName of await namesIn(at)) {
    const uevent = (await textOrNull(join(at, kernelName, 'uevent'))) ?? '';
    const value = (key: string) => new RegExp(`^${key}=(.+)$`, 'm').exec(uevent)?.[1] ?? null;
    if (value('DEVTYPE') !== 'partition') continue;
    // A link into /sys/devices, where a partition lies below its disk.
    const target = await readlink(join(at, kernelName)).catch(() => null);
    found.push({
      device: join(root, 'dev', kernelName),
      disk: target === null ? '' : basename(dirname(target)),
      name: value('PARTNAME'),
      uuid: value('PARTUUID')?.toLowerCase() ?? null,
    });
  }
  return found;
}
