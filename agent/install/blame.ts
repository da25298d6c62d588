// Whose fault a failed step is: the disk's that went away or answers with errors, the network's, or none
// of those. Turns one error into another; tries nothing again.

import { BilletError } from '#shared/errors.ts';
import type { InstallStep } from '#shared/schema/install-report.ts';
import type { ObservedDisk } from '../drivers/disks.ts';
import { diskGone, isSame } from './step.ts';

/** Of the system, and of the tools that report it. */
const DISK_ERROR =
  /\b(EIO|ENXIO|ENODEV|EROFS|EUCLEAN)\b|Input\/output error|No such device|Read-only file/;
/** They say themselves what is wrong, and what to do. */
const OWN_WORDS = /^(?!COMMAND_FAILED|MOUNT_FAILED|STORE_FAILED|INTERNAL)/;

/** Where a step failed. */
export interface Failing {
  readonly step: InstallStep;
  readonly on: ObservedDisk;
  /** The disks that there are after it failed. */
  readonly now: readonly ObservedDisk[];
}

export type Blame = (error: unknown, at: Failing) => BilletError;

export const blame: Blame = (error, { step, on, now }) => {
  const { name } = on.disk;
  const text = error instanceof Error ? error.message : String(error);
  if (!now.some(({ disk }) => isSame(disk, on.disk))) return diskGone(name, error);
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  if (DISK_ERROR.test(`${code} ${text}`))
    return new BilletError('INSTALL_DISK_FAILED', `${name} failed at step ${step}: ${text}`, {
      hint: 'look at `dmesg | tail`; replace the disk, or let the plan name another; it is tried again',
      cause: error,
    });
  if (error instanceof BilletError && OWN_WORDS.test(error.code)) return error;
  return new BilletError('INSTALL_STEP_FAILED', `step ${step} on ${name}: ${text}`, {
    hint: 'it is tried again where it stopped; if it stays so, report it with the lines above',
    cause: error,
  });
};
