// What earlier boots of this machine came to: which generation is on trial, which failed here, which
// was good. Kept on the persist disk; without one every boot is the first.

import { join } from 'node:path';
import { z } from 'zod';
import type { BilletError } from '#shared/errors.ts';
import { Envelope } from '#shared/schema/desired.ts';
import { lostBy, readChecked, setAside, writeChecked } from '../checked-file.ts';

export const BootRecord = z.object({
  format: z.literal(1),
  /** History id that the generation numbers belong to; another one makes the record void. */
  history: z.string().max(64).nullable(),
  /** Not yet good: how many boots have been started with it. */
  trial: z.object({ generation: z.int().positive(), boots: z.int().nonnegative() }).nullable(),
  /** Generations that this machine gave up on; reported to the coordinator as verdicts. */
  rejected: z
    .array(z.object({ generation: z.int().positive(), reason: z.string().max(1024) }))
    .max(64),
  /** The last generation that turned good, as its envelope. */
  good: z.object({ generation: z.int().positive(), envelope: Envelope }).nullable(),
  /** Highest sequence of each module in a good generation: older releases are refused. */
  floors: z.record(z.string(), z.int().nonnegative()).default({}),
});
export type BootRecord = z.infer<typeof BootRecord>;

export const EMPTY_RECORD: BootRecord = {
  format: 1,
  history: null,
  trial: null,
  rejected: [],
  good: null,
  floors: {},
};

/** Two equal files: it alone knows the floors, and one bad sector is not to lower them. */
const FILES = ['boot-record.json', 'boot-record.copy.json'] as const;

export interface LoadedRecord {
  readonly record: BootRecord;
  /** STATE_CORRUPT, and what was lost by it; none when all is well. */
  readonly damage: readonly BilletError[];
}

/**
 * The empty record when there is none. A damaged file is made good from the other one; with both
 * damaged the record starts empty, and the files are set aside.
 */
export async function loadBootRecord(stateDir: string): Promise<LoadedRecord> {
  const found = await Promise.all(
    FILES.map((file) => readChecked(join(stateDir, file), BootRecord)),
  );
  const whole = found.find((each) => each.kind === 'whole');
  const record = whole?.value ?? EMPTY_RECORD;
  const lost =
    whole === undefined
      ? 'which generations were good or rejected here, and the version floors, are forgotten'
      : 'read from its copy, at most the last change is lost';
  const damage = found.flatMap((each) =>
    each.kind === 'damaged' ? [lostBy(each.damage, lost)] : [],
  );
  for (const [index, { kind }] of found.entries())
    if (kind === 'damaged') await setAside(join(stateDir, FILES[index] ?? ''));
  const same = (each: (typeof found)[number]) =>
    each.kind === 'whole' && JSON.stringify(each.value) === JSON.stringify(record);
  if (whole !== undefined && !found.every(same)) await saveBootRecord(stateDir, record);
  return { record, damage };
}

/** Durable when it resolves. Throws STORE_FULL, STORE_FAILED. */
export async function saveBootRecord(stateDir: string, record: BootRecord): Promise<void> {
  for (const file of FILES) await writeChecked(join(stateDir, file), record);
}
