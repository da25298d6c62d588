// The partitions of this machine's disks by their GPT names and UUIDs. Reads sysfs and partition tables:
// kernels before 6.13 tell names, and no UUIDs.

import { readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { namesIn, textOrNull } from '../identity/source-file.ts';
import { type Gpt, parseGpt } from '../install/gpt.ts';
import { readDevice } from './block-device.ts';

/** The first table with all its entries, on disks with sectors of 4096 bytes, too. */
const TABLE_BYTES = 64 * 1024;

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
    const disk = target === null ? '' : basename(dirname(target));
    const entry = (await tableOf(root, disk))?.partitions.find(
      ({ number }) => String(number) === value('PARTN'),
    );
    found.push({
      ...{ device: join(root, 'dev', kernelName), disk },
      name: value('PARTNAME') ?? entry?.name ?? null,
      uuid: value('PARTUUID')?.toLowerCase() ?? entry?.guid ?? null,
    });
  }
  return found;
}

/** Null for a disk without a GPT, or one that cannot be read. */
async function tableOf(root: string, disk: string): Promise<Gpt | null> {
  const sectorBytes = Number(
    (await textOrNull(join(root, 'sys/class/block', disk, 'queue/logical_block_size'))) ?? 512,
  );
  const start = await readDevice(join(root, 'dev', disk), 0, TABLE_BYTES).catch(() => null);
  return start === null ? null : parseGpt(start, sectorBytes);
}
