// A small drive found by the label of its volume (ISO 9660 or FAT), open for as long as it is read.
// Not mounted: a drive from outside meets no parser of the kernel, and nothing is left behind. What
// its files mean is for others.

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn } from '../identity/source-file.ts';
import { fatVolume } from './fat.ts';
import { isoVolume } from './iso9660.ts';
import { readText, type Volume } from './volume.ts';

/** The text of a file on the drive, or null when there is none. CONFIG_INVALID. */
export type ReadFromDrive = (path: string) => Promise<string | null>;

/** Null when no drive has the label; lower case, though tools write either. */
export type OpenDrive = <T>(
  label: string,
  signal: AbortSignal,
  use: (read: ReadFromDrive) => Promise<T>,
) => Promise<T | null>;

/** `devices`: paths of block devices, in the order to look at them. */
export function labelledDrives(devices: () => Promise<readonly string[]>): OpenDrive {
  return async (label, signal, use) => {
    for (const device of await devices()) {
      signal.throwIfAborted();
      const handle = await openOrNull(device);
      if (handle === null) continue;
      try {
        const volume = await probe(handle);
        if (volume?.label.toLowerCase() === label)
          return await use((path) => readText(volume, path));
      } finally {
        await handle.close();
      }
    }
    return null;
  };
}

/** Whole disks, partitions and optical drives; not what the kernel makes up. */
export const blockDevices = (root: string) => async (): Promise<readonly string[]> =>
  (await namesIn(join(root, 'sys/class/block')))
    .filter((name) => !/^(loop|ram|zram|dm-|md|nbd|fd)/.test(name))
    .map((name) => join(root, 'dev', name));

/** A device that is gone, or an empty optical drive (NONBLOCK opens that), has no volume. */
async function openOrNull(device: string): Promise<FileHandle | null> {
  return await open(device, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => null);
}

const NO_MEDIUM = ['EIO', 'ENOMEDIUM', 'ENXIO', 'ENODATA'];

async function probe(handle: FileHandle): Promise<Volume | null> {
  const readAt = async (offset: number, bytes: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(bytes), 0, bytes, offset);
    return buffer.subarray(0, bytesRead);
  };
  try {
    return (await isoVolume(readAt)) ?? (await fatVolume(readAt));
  } catch (error) {
    if (NO_MEDIUM.includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
