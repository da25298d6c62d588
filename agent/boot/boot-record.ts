// What earlier boots of this machine came to: which generation is on trial, which failed here, which
// was good. Kept on the persist disk; without one every boot is the first.

import { join } from 'node:path';
import { z } from 'zod';
import { BilletError } from '#shared/errors.ts';
import { Envelope } from '#shared/schema/desired.ts';
import { readFileOrNull, writeFileAtomic } from '../drivers/files.ts';

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

const FILE = 'boot-record.json';

/** The empty record when there is none. Throws CONFIG_INVALID on one that no agent wrote. */
export async function loadBootRecord(stateDir: string): Promise<BootRecord> {
  const path = join(stateDir, FILE);
  const bytes = await readFileOrNull(path);
  if (bytes === null) return EMPTY_RECORD;
  try {
    return BootRecord.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    throw new BilletError('CONFIG_INVALID', `${path} was not written by this agent`, {
      hint: `remove ${path}: the node then forgets which generations failed on it`,
      cause,
    });
  }
}

export async function saveBootRecord(stateDir: string, record: BootRecord): Promise<void> {
  await writeFileAtomic(join(stateDir, FILE), `${JSON.stringify(record, null, 2)}\n`, {
    mode: 0o600,
  });
}
