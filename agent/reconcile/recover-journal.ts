// Opens the journal whatever is in it: one that no agent wrote is set aside for a person to look at,
// which is safe, since the world is observed before anything is planned.

import { rename } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { BilletError } from '#shared/errors.ts';
import type { Condition } from '#shared/schema/heartbeat.ts';
import { type Journal, openJournal } from './journal.ts';

export interface Recovered {
  readonly journal: Journal;
  /** JOURNAL_CORRUPT, or none. */
  readonly conditions: readonly Condition[];
}

export async function journalOrAnew(path: string, clock: Clock): Promise<Recovered> {
  try {
    return { journal: await openJournal(path), conditions: [] };
  } catch (error) {
    if (!(error instanceof BilletError) || error.code !== 'JOURNAL_CORRUPT') throw error;
    await rename(path, `${path}.corrupt.${clock.now()}`);
    const condition = { code: error.code, text: error.message, hint: error.hint };
    return { journal: await openJournal(path), conditions: [condition] };
  }
}
