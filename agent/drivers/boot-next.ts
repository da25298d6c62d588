// What the firmware starts next, once: BootNext (UEFI 2.10 §3.3). Writes that variable, and no other.

import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { bytesOrNull, namesIn } from '../identity/source-file.ts';
import { descriptionOf } from '../install/load-option.ts';

const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
/** Before a value: non-volatile, in boot services, at run time (Documentation/filesystems/efivarfs.rst). */
const ATTRIBUTES = Buffer.from([7, 0, 0, 0]);

/** False where the firmware has no entry of that name. */
export async function chooseBootNext(
  description: string,
  dir = '/sys/firmware/efi/efivars',
): Promise<boolean> {
  for (const file of await namesIn(dir)) {
    const digits = new RegExp(`^Boot([0-9A-F]{4})-${GLOBAL}$`).exec(file)?.[1];
    if (digits === undefined) continue;
    const value = (await bytesOrNull(join(dir, file)))?.subarray(ATTRIBUTES.length);
    if (value === undefined || descriptionOf(value) !== description) continue;
    const number = Buffer.alloc(2);
    number.writeUInt16LE(Number.parseInt(digits, 16));
    // In one write: efivarfs takes a variable whole.
    await using handle = await open(join(dir, `BootNext-${GLOBAL}`), 'w', 0o644);
    const bytes = Buffer.concat([ATTRIBUTES, number]);
    await handle.write(bytes, 0, bytes.length);
    return true;
  }
  return false;
}
