// Turns the file system's errors into the store's. Wraps; handles nothing.

import { BilletError } from '#shared/errors.ts';
import { errnoName } from './errno.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT']);

export const storeFull = (what: string, details: Record<string, unknown>, cause?: unknown) =>
  new BilletError('STORE_FULL', `no space left to ${what}`, {
    hint: 'make the persist disk (or the memory of the machine) larger, or run fewer modules',
    cause,
    details,
  });

/** STORE_FULL and STORE_FAILED for system errors; other errors as they are. */
export function diskError(error: unknown, what: string): unknown {
  if (error instanceof BilletError || !(error instanceof Error)) return error;
  const { code, errno: number } = error as NodeJS.ErrnoException;
  const errno = number === undefined ? code : errnoName(number);
  if (errno === undefined || !/^E[A-Z0-9]+$/.test(errno)) return error;
  if (FULL.has(errno)) return storeFull(what, { errno }, error);
  return new BilletError('STORE_FAILED', `cannot ${what}: ${error.message}`, {
    hint: 'look at `dmesg | tail`; the disk may be failing or mounted read-only',
    cause: error,
    details: { errno },
  });
}
