// What the firmware starts next, once: BootNext (UEFI 2.10 §3.3). Writes that variable, and no other.

import { EFIVARS, efiVariables, u16Bytes } from './efi-variables.ts';

/** False where the firmware has no entry of that name. */
export async function chooseBootNext(description: string, dir = EFIVARS): Promise<boolean> {
  const variables = efiVariables(dir);
  const number = await variables.bootNumberOf(description);
  if (number === null) return false;
  await variables.write('BootNext', u16Bytes([number]));
  return true;
}
