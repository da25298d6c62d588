// What systemd-boot and the stub of the boot image say of how this boot began, in variables of the
// firmware (systemd.io/BOOT_LOADER_INTERFACE). Reads efivarfs; writes nothing.

import { join } from 'node:path';
import { bytesOrNull } from '../identity/source-file.ts';

export interface LoaderVariables {
  /** The name of the entry as it was chosen, before the loader counted this boot. */
  readonly entry: string | null;
  /** Partition UUIDs, lower case: where the loader lies, and where the boot image does. */
  readonly loaderPartition: string | null;
  readonly imagePartition: string | null;
}

const VENDOR = '4a67b082-0a4c-41cf-b6c7-440b29bb8c4f';
/** efivarfs: four bytes of attributes before the value (Linux Documentation/filesystems/efivarfs.rst). */
const ATTRIBUTES = 4;

/** Null unless systemd-boot started this kernel. */
export async function readLoader(root = '/'): Promise<LoaderVariables | null> {
  const read = async (name: string) => {
    const at = join(root, 'sys/firmware/efi/efivars', `${name}-${VENDOR}`);
    return textOf(await bytesOrNull(at));
  };
  const info = await read('LoaderInfo');
  if (info?.startsWith('systemd-boot') !== true) return null;
  const uuid = async (name: string) => (await read(name))?.toLowerCase() ?? null;
  return {
    entry: await read('LoaderEntrySelected'),
    loaderPartition: await uuid('LoaderDevicePartUUID'),
    imagePartition: await uuid('StubDevicePartUUID'),
  };
}

/** UTF-16LE, ending in a NUL. */
function textOf(value: Buffer | null): string | null {
  const text = value?.subarray(ATTRIBUTES).toString('utf16le').replace(/\0.*$/s, '');
  return text === undefined || text === '' ? null : text;
}
