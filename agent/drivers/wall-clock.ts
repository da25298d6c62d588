// Sets the time of day of this machine, and reads when its kernel and boot image were built. Decides nothing.

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { BOOT_IMAGE_INFO_PATH } from '#shared/schema/boot-image-info.ts';
import { Timestamp } from '#shared/schema/ids.ts';
import type { Exec } from './exec.ts';
import { readFileOrNull } from './files.ts';

/** Sets CLOCK_REALTIME by date(1) of busybox or coreutils, to the second. Throws COMMAND_FAILED. */
export async function setWallClock(exec: Exec, unixMs: number, signal: AbortSignal): Promise<void> {
  const seconds = Math.floor(unixMs / 1000);
  const { code, stderr } = await exec(['date', '-u', '-s', `@${seconds}`], signal);
  if (code === 0) return;
  throw new BilletError('COMMAND_FAILED', `the clock could not be set: ${stderr.trim()}`, {
    hint: 'set the time in the firmware of the machine',
  });
}

/**
 * When the kernel was built, in Unix milliseconds: `(2025-09-20)` as Debian writes it at the end of
 * /proc/version, or a date as date(1) does. Null when it does not say.
 */
export async function kernelBuiltAt(path = '/proc/version'): Promise<number | null> {
  return builtAt(await readFile(path, 'utf8'));
}

/**
 * When the boot image was built, in Unix milliseconds, as it says of itself. Null when it does not, or not
 * in words that can be read: others judge the image.
 */
export async function imageBuiltAt(path = BOOT_IMAGE_INFO_PATH): Promise<number | null> {
  const text = (await readFileOrNull(path))?.toString('utf8') ?? '';
  const found = Built.safeParse(jsonOrNull(text));
  return found.success ? Date.parse(found.data.builtAt) : null;
}

const Built = z.object({ builtAt: Timestamp });

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function builtAt(version: string): number | null {
  const [, debian] = /\((\d{4}-\d{2}-\d{2})\)\s*$/.exec(version) ?? [];
  const [, plain] = /\s((?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) \w{3} .*\d{4})\s*$/.exec(version) ?? [];
  const time = Date.parse(debian ?? plain ?? '');
  return Number.isNaN(time) ? null : time;
}
