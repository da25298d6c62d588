// One JSON value in a file, with a checksum that shows a flipped byte. Whole or damaged, never
// half-believed; what to do about damage is for the caller to say.
//
//   {"crc32":"<of the value's JSON, 8 hex digits>","value":…}

import { rename } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { jsonOf } from '#shared/json.ts';
import { describeFaults } from '#shared/schema/faults.ts';
import { diskError } from './drivers/disk-error.ts';
import { readFileOrNull, writeFileAtomic } from './drivers/files.ts';

export type Found<T> =
  | { readonly kind: 'none' }
  | { readonly kind: 'whole'; readonly value: T }
  | { readonly kind: 'damaged'; readonly damage: BilletError };

const Checked = z.object({ crc32: z.string(), value: z.json() });

/** STATE_CORRUPT is in the result; throws only what reading the disk throws (STORE_FAILED). */
export async function readChecked<S extends z.ZodType>(
  path: string,
  schema: S,
): Promise<Found<z.infer<S>>> {
  const bytes = await wrapped(`read ${path}`, () => readFileOrNull(path));
  if (bytes === null) return { kind: 'none' };
  const checked = Checked.safeParse(jsonOf(bytes.toString('utf8'))).data;
  if (checked === undefined) return damaged(path, 'it is cut off, or no agent wrote it');
  if (checksum(JSON.stringify(checked.value)) !== checked.crc32)
    return damaged(path, 'its checksum is wrong');
  const parsed = schema.safeParse(checked.value);
  if (!parsed.success) return damaged(path, describeFaults(parsed.error));
  return { kind: 'whole', value: parsed.data };
}

/** Durable when it resolves, mode 0600. Throws STORE_FULL or STORE_FAILED; the old file then stands. */
export async function writeChecked(path: string, value: unknown): Promise<void> {
  const json = JSON.stringify(value);
  const text = `{"crc32":"${checksum(json)}","value":${json}}\n`;
  await wrapped(`write ${path}`, () => writeFileAtomic(path, text, { mode: 0o600 }));
}

/** Keeps a damaged file for a person to look at, in place of one that was set aside before. */
export async function setAside(path: string): Promise<void> {
  await rename(path, `${path}.damaged`);
}

/** The same, and in words what the node does not know any more. */
export const lostBy = ({ code, message, hint, details }: BilletError, lost: string): BilletError =>
  new BilletError(code, `${message}: ${lost}`, { hint, details });

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0');

const damaged = (path: string, why: string): Found<never> => ({
  kind: 'damaged',
  damage: new BilletError('STATE_CORRUPT', `${path} cannot be believed, ${why}`, {
    hint: `the disk may be failing: look at \`dmesg | tail\`; the file is kept as ${path}.damaged`,
    details: { path },
  }),
});

async function wrapped<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(error, what);
  }
}
