// Whether this machine has a TPM 2.0 that a disk can be bound to, as the kernel shows it. Reads sysfs;
// talks to no TPM.

import { join } from 'node:path';
import { BilletError } from '#shared/errors.ts';
import { textOrNull } from '../identity/source-file.ts';

/**
 * The one that the disk is bound to: Secure Boot's state, and the keys that verified what was booted (TCG
 * PC Client Platform Firmware Profile 1.06, §3.3.4.8). It stays the same over updates of the boot image.
 */
export const BOUND_PCR = 7;

/** Throws TPM_MISSING, also where the firmware measured nothing: such a TPM would open to everybody. */
export async function assertTpm(root = '/'): Promise<void> {
  const at = join(root, 'sys/class/tpm/tpm0');
  const version = (await textOrNull(join(at, 'tpm_version_major')))?.trim();
  if (version !== '2')
    throw missing(version === undefined ? 'this machine has no TPM' : `its TPM is ${version}.x`);
  const measured = await textOrNull(join(at, `pcr-sha256/${BOUND_PCR}`));
  if (measured === null || /^(0+|f+)\s*$/i.test(measured))
    throw missing(`the firmware measured nothing into PCR ${BOUND_PCR} (SHA-256) of the TPM`);
}

const missing = (why: string): BilletError =>
  new BilletError('TPM_MISSING', why, {
    hint: 'switch the TPM 2.0 on in the firmware, with its SHA-256 bank; or install with a profile that does not encrypt',
  });
