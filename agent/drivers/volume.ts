// What the readers of small volumes have in common: a label and a tree of files. Types, and the way
// from a path to the bytes.

import { BilletError } from '#shared/errors.ts';

export interface VolumeEntry {
  readonly name: string;
  readonly isDirectory: boolean;
  /** Where it begins, in the reader's own measure. */
  readonly at: number;
  readonly sizeBytes: number;
}

export interface Volume {
  readonly label: string;
  readonly root: VolumeEntry;
  list(directory: VolumeEntry): Promise<readonly VolumeEntry[]>;
  /** Shorter than it should be where the volume is cut off. */
  read(file: VolumeEntry): Promise<Buffer>;
}

/** No file of a config drive is larger, and no directory. */
const BYTES_MAX = 256 * 1024;

/** The text of a file, or null when there is none. CONFIG_INVALID for what is no readable file. */
export async function readText(volume: Volume, path: string): Promise<string | null> {
  let entry = volume.root;
  for (const name of path.split('/')) {
    if (!entry.isDirectory) return null;
    assertSize(entry);
    const found = (await volume.list(entry)).find((each) => each.name === name);
    if (found === undefined) return null;
    entry = found;
  }
  if (entry.isDirectory) throw volumeInvalid(`${path} is a directory`);
  assertSize(entry);
  const bytes = await volume.read(entry);
  if (bytes.length < entry.sizeBytes) throw volumeInvalid(`${path} is cut off`);
  return bytes.toString('utf8');
}

function assertSize({ name, sizeBytes }: VolumeEntry): void {
  if (sizeBytes > BYTES_MAX)
    throw volumeInvalid(`${name} has ${sizeBytes} bytes, the limit is ${BYTES_MAX}`);
}

export const volumeInvalid = (why: string): BilletError =>
  new BilletError('CONFIG_INVALID', `the config drive cannot be read: ${why}`, {
    hint: 'make the drive anew, e.g. xorriso -as mkisofs -J -r -V cidata -o drive.iso DIRECTORY',
  });
